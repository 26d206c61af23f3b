-- depends: 0012.notices

-- Named for what it holds: alerts that a sink was sent, and whose end it was not sent yet.
ALTER TABLE notice RENAME TO open_alert;
