-- depends: 0118.people

-- The trace context (W3C traceparent) of the change that caused an intent, where that change is traced.
ALTER TABLE intent ADD COLUMN trace text;
