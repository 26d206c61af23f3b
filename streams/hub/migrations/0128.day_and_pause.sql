-- depends: 0125.handed_over

-- What came of each raw topic so far and today (UTC): one count for every page. A topic that no earlier day knows came today. Until the
-- first mark of a day, a minute after it began, nothing came.
CREATE VIEW raw_topic AS
SELECT a.topic, a.taken, a.failed, a.counted_at,
       CASE WHEN d.counted IS NOT NULL THEN greatest(0, a.taken - d.counted)
            WHEN EXISTS (SELECT FROM raw_account_day y WHERE y.topic = a.topic) THEN 0 ELSE a.taken END AS today
FROM (SELECT topic, sum(passed + filtered + tombstones + dead + parked + control)::bigint AS taken, sum(dead + parked)::bigint AS failed,
             max(counted_at) AS counted_at FROM raw_account GROUP BY topic) a
LEFT JOIN raw_account_day d ON d.topic = a.topic AND d.day = (now() AT TIME ZONE 'utc')::date;
COMMENT ON COLUMN raw_topic.today IS 'records since 00:00 UTC';
DELETE FROM figure_now WHERE figure = 'day_start';

-- A pause of a source or a table is an event, whoever began or ended it.
CREATE TRIGGER capture_pause_event AFTER INSERT OR DELETE ON capture_pause FOR EACH ROW EXECUTE FUNCTION event_of_pause();
