-- How many intents each rule has in each state, as Postgres estimates it when it analyzes the table: counting all of them takes longer than a page may.
CREATE STATISTICS intent_rule_state (mcv) ON rule, state FROM intent;
