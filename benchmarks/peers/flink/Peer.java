import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Flink's DataStream API in a cluster of this process: Kafka source, flat map, Kafka sink, chained, with a parallelism of two and objects that are
 * used again. Arguments and passes are as of Kafka Streams.
 */
public final class Peer {
    /** What goes from one function to the next: (topic, key, value), or (null, key, value) of a change. */
    public static final class Row {
        public String topic;
        public byte[] key;
        public byte[] value;

        public Row() {}

        Row(String topic, byte[] key, byte[] value) {
            this.topic = topic;
            this.key = key;
            this.value = value;
        }
    }

    private static final class Raw implements KafkaRecordDeserializationSchema<Row> {
        private static final long serialVersionUID = 1;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Row> out) {
            out.collect(new Row(record.topic(), record.key(), record.value()));
        }

        @Override
        public TypeInformation<Row> getProducedType() {
            return TypeInformation.of(Row.class);
        }
    }

    /** A raw record → its changes. */
    private static final class Ingest extends RichFlatMapFunction<Row, Row> {
        private static final long serialVersionUID = 1;
        private static boolean begun;
        private final String plan;
        private transient Mapper mapper;

        Ingest(String plan) {
            this.plan = plan;
        }

        @Override
        public void open(OpenContext context) throws IOException {
            mapper = new Mapper(new ObjectMapper().readTree(plan));
        }

        @Override
        public void flatMap(Row row, Collector<Row> out) {
            if (!begun) {
                begin();
            }
            mapper.map(row.topic, row.key, row.value, (key, value) -> out.collect(new Row(null, key, value)));
            Progress.SEEN.incrementAndGet();
        }

        /** The clock starts with the first record, whichever of the two gets it. */
        private static synchronized void begin() {
            if (!begun) {
                begun = true;
                Progress.start();
            }
        }
    }

    private static final class Changes implements KafkaRecordSerializationSchema<Row> {
        private static final long serialVersionUID = 1;
        private final String topic;

        Changes(String topic) {
            this.topic = topic;
        }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(Row row, KafkaSinkContext context, Long timestamp) {
            return new ProducerRecord<>(topic, row.key, row.value);
        }
    }

    /** One pass over all records: {records a second, microseconds of CPU a record}. */
    private static double[] pass(JsonNode job, String plan, String out, String name) throws Exception {
        Progress.begin();
        Ingest.begun = false;
        List<String> topics = new ArrayList<>();
        job.get("topics").forEach(topic -> topics.add(topic.asText()));
        String bootstrap = job.get("bootstrap").asText();
        var environment = StreamExecutionEnvironment.createLocalEnvironment(2, new Configuration());
        environment.getConfig().enableObjectReuse();
        // Offsets are committed, and with exactly once transactions too, by checkpoints: a second, as the other frameworks have it.
        environment.enableCheckpointing(1000);
        var source = KafkaSource.<Row>builder()
                .setBootstrapServers(bootstrap)
                .setTopics(topics)
                .setGroupId(name)
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setDeserializer(new Raw())
                .setProperty("max.poll.records", "4000")
                .build();
        var sink = KafkaSink.<Row>builder()
                .setBootstrapServers(bootstrap)
                .setRecordSerializer(new Changes(out))
                .setDeliveryGuarantee(DeliveryGuarantee.valueOf(job.get("guarantee").asText().toUpperCase()))
                .setTransactionalIdPrefix(name)
                .setProperty("transaction.timeout.ms", "600000")
                .setProperty("linger.ms", "20")
                .setProperty("batch.size", "262144")
                .setProperty("compression.type", "lz4")
                .setProperty("interceptor.classes", Progress.class.getName())
                .build();
        environment.fromSource(source, WatermarkStrategy.noWatermarks(), "in").flatMap(new Ingest(plan)).sinkTo(sink);
        JobClient running = environment.executeAsync(name);
        AtomicBoolean over = new AtomicBoolean();
        running.getJobExecutionResult().whenComplete((result, error) -> {
            if (!over.get()) {
                Progress.FAILED.compareAndSet(null, error);
            }
        });
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap))) {
            return Progress.finish(admin, job.get("count").asLong(), out);
        } finally {
            over.set(true);
            running.cancel().get();
        }
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        JsonNode job = json.readTree(arguments[0]);
        String plan = Files.readString(Path.of(arguments[1]));
        String name = "peer-flink-" + System.nanoTime();
        String out = job.get("out").asText();
        double[] cold = pass(job, plan, out, name);
        double[] warm = pass(job, plan, out + ".again", name + "-again");
        System.out.println(json.writeValueAsString(Map.of(
                "per_second", cold[0], "us", cold[1], "again_per_second", warm[0], "again_us", warm[1])));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
