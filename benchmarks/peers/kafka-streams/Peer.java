import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Kafka Streams: one source of all raw topics, a stateless processor, one sink; two threads.
 *
 * <p>The first argument is the job, as the other peers get it; the second is the file with the plan of the mapping. The job is done twice in the same
 * JVM: the first pass is cold, as that of the other peers, the second has compiled code.
 */
public final class Peer {
    /** A raw record → its changes. One for each task, so that nothing is shared between threads. */
    private static final class Ingest implements Processor<byte[], byte[], byte[], byte[]> {
        private final Mapper mapper;
        private ProcessorContext<byte[], byte[]> context;

        Ingest(JsonNode plan) {
            mapper = new Mapper(plan);
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            String topic = context.recordMetadata().orElseThrow().topic();
            mapper.map(topic, record.key(), record.value(), (key, value) -> context.forward(new Record<>(key, value, record.timestamp())));
            Progress.SEEN.incrementAndGet();
        }
    }

    private static Properties settings(JsonNode job, String name) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.get("bootstrap").asText());
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, job.get("guarantee").asText());
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        p.put(StreamsConfig.STATE_DIR_CONFIG, job.get("state").asText());
        p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 4000);
        // The default is to wait for records of the partitions that are empty, to keep order by time: no other peer does.
        p.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, -1L);
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 4000);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 262_144);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        p.put(StreamsConfig.producerPrefix(ProducerConfig.INTERCEPTOR_CLASSES_CONFIG), Progress.class.getName());
        return p;
    }

    /** One pass over all records: {records a second, microseconds of CPU a record}. */
    private static double[] pass(JsonNode job, JsonNode plan, String out, String name) throws Exception {
        Progress.begin();
        List<String> topics = new ArrayList<>();
        job.get("topics").forEach(topic -> topics.add(topic.asText()));
        long count = job.get("count").asLong();
        var bytes = Serdes.ByteArray();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(topics, Consumed.with(bytes, bytes)).process(() -> new Ingest(plan)).to(out, Produced.with(bytes, bytes));
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", job.get("bootstrap").asText()));
                KafkaStreams streams = new KafkaStreams(builder.build(), settings(job, name))) {
            streams.setUncaughtExceptionHandler(error -> {
                Progress.FAILED.compareAndSet(null, error);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            // Both threads have their tasks before the clock starts: the broker of the stack lets the first one have them all for a moment.
            streams.pause();
            streams.start();
            while (streams.metadataForLocalThreads().stream().anyMatch(t -> t.activeTasks().size() != 2)) {
                Progress.idle();
            }
            Progress.start();
            streams.resume();
            return Progress.finish(admin, count, out);
        }
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        JsonNode job = json.readTree(arguments[0]);
        JsonNode plan = json.readTree(new File(arguments[1]));
        String name = "peer-kafka-streams-" + System.nanoTime();
        String out = job.get("out").asText();
        double[] cold = pass(job, plan, out, name);
        double[] warm = pass(job, plan, out + ".again", name + "-again");
        System.out.println(json.writeValueAsString(Map.of(
                "per_second", cold[0], "us", cold[1], "again_per_second", warm[0], "again_us", warm[1])));
        System.out.flush();
        // Not all threads of the client end at once.
        Runtime.getRuntime().halt(0);
    }
}
