import java.io.IOException;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.TableFunction;

/** Flink SQL: a table of all raw topics, a table function that maps, a table of changes. */
public final class Peer {
    /** A raw record → its changes, as rows of the planner's own type: others are converted, each of them. */
    @FunctionHint(output = @DataTypeHint(value = "ROW<`key` BYTES, `value` BYTES>", bridgedTo = RowData.class))
    public static final class ChangesOf extends TableFunction<RowData> {
        private static final long serialVersionUID = 1;
        private final String plan;
        private transient Flink.Ingest ingest;

        ChangesOf(String plan) {
            this.plan = plan;
        }

        @Override
        public void open(FunctionContext context) throws IOException {
            ingest = new Flink.Ingest(plan);
        }

        public void eval(String topic, byte[] key, byte[] value) {
            ingest.map(topic, key, value, (id, change) -> collect(GenericRowData.of(id, change)));
        }
    }

    /** The options of both tables: keys and values are bytes as they are. */
    private static String kafka(Flink.Job job, String topics, Map<String, String> client) {
        String properties = client.entrySet().stream()
                .map(e -> ", 'properties.%s' = '%s'".formatted(e.getKey(), e.getValue()))
                .collect(Collectors.joining());
        return """
                'connector' = 'kafka', 'topic' = '%s', 'key.format' = 'raw', 'key.fields' = 'key', 'value.format' = 'raw',
                'value.fields-include' = 'EXCEPT_KEY', 'properties.bootstrap.servers' = '%s'%s
                """.formatted(topics, job.bootstrap(), properties);
    }

    private static JobClient start(StreamExecutionEnvironment environment, Flink.Job job) {
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        tables.createTemporarySystemFunction("changes_of", new ChangesOf(job.plan()));
        tables.executeSql("""
                CREATE TABLE raws (`key` BYTES, `value` BYTES, topic STRING NOT NULL METADATA VIRTUAL)
                WITH ('scan.startup.mode' = 'earliest-offset', 'properties.group.id' = '%s', %s)
                """.formatted(job.name(), kafka(job, String.join(";", job.topics()), Flink.CONSUMER)));
        tables.executeSql("""
                CREATE TABLE changes (`key` BYTES, `value` BYTES)
                WITH ('sink.delivery-guarantee' = '%s', 'sink.transactional-id-prefix' = '%s', %s)
                """.formatted(job.guarantee().replace('_', '-'), job.name(), kafka(job, job.out(), Flink.PRODUCER)));
        return tables.executeSql("""
                INSERT INTO changes
                SELECT c.`key`, c.`value` FROM raws AS r, LATERAL TABLE(changes_of(r.topic, r.`key`, r.`value`)) AS c (`key`, `value`)
                """).getJobClient().orElseThrow();
    }

    public static void main(String[] arguments) throws Exception {
        Flink.run(Peer::start, arguments);
    }
}
