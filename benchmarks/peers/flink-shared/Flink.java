import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;

/**
 * What Flink's peers share: a cluster of this process with a parallelism of two and objects that are used again, the settings of Kafka's clients, and
 * the mapping. Arguments and passes are as of Kafka Streams.
 */
final class Flink {
    static final Map<String, String> CONSUMER = Map.of("max.poll.records", "4000");
    static final Map<String, String> PRODUCER = Map.of(
            "transaction.timeout.ms", "600000",
            "linger.ms", "20",
            "batch.size", "262144",
            "compression.type", "lz4",
            "interceptor.classes", Progress.class.getName());

    /** One pass: `guarantee` as in Kafka Streams, `name` for the consumer group and transactions. */
    record Job(String bootstrap, List<String> topics, String guarantee, String plan, String out, String name) {}

    interface Pipeline {
        JobClient start(StreamExecutionEnvironment environment, Job job) throws Exception;
    }

    /** A raw record → its changes. One for each task, so that nothing is shared between threads. */
    static final class Ingest {
        private static boolean begun;
        private final Mapper mapper;

        Ingest(String plan) throws IOException {
            mapper = new Mapper(new ObjectMapper().readTree(plan));
        }

        void map(String topic, byte[] key, byte[] value, BiConsumer<byte[], byte[]> out) {
            if (!begun) {
                begin();
            }
            mapper.map(topic, key, value, out);
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

    private Flink() {}

    /** One pass over all records: {records a second, microseconds of CPU a record}. */
    private static double[] pass(Pipeline pipeline, Job job, long count) throws Exception {
        Progress.begin();
        Ingest.begun = false;
        var environment = StreamExecutionEnvironment.createLocalEnvironment(2, new Configuration());
        environment.getConfig().enableObjectReuse();
        // Offsets are committed, and with exactly once transactions too, by checkpoints: a second, as the other frameworks have it.
        environment.enableCheckpointing(1000);
        JobClient running = pipeline.start(environment, job);
        AtomicBoolean over = new AtomicBoolean();
        running.getJobExecutionResult().whenComplete((result, error) -> {
            if (!over.get()) {
                Progress.FAILED.compareAndSet(null, error);
            }
        });
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", job.bootstrap()))) {
            return Progress.finish(admin, count, job.out());
        } finally {
            over.set(true);
            running.cancel().get();
        }
    }

    /** What a peer's `main` does with its arguments. */
    static void run(Pipeline pipeline, String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        JsonNode job = json.readTree(arguments[0]);
        String plan = Files.readString(Path.of(arguments[1]));
        List<String> topics = new ArrayList<>();
        job.get("topics").forEach(topic -> topics.add(topic.asText()));
        String bootstrap = job.get("bootstrap").asText();
        String guarantee = job.get("guarantee").asText();
        String out = job.get("out").asText();
        long count = job.get("count").asLong();
        String name = "peer-flink-" + System.nanoTime();
        double[] cold = pass(pipeline, new Job(bootstrap, topics, guarantee, plan, out, name), count);
        double[] warm = pass(pipeline, new Job(bootstrap, topics, guarantee, plan, out + ".again", name + "-again"), count);
        System.out.println(json.writeValueAsString(Map.of(
                "per_second", cold[0], "us", cold[1], "again_per_second", warm[0], "again_us", warm[1])));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
