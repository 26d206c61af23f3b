import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.ProducerInterceptor;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

/** How far a pass is, and what it took. It counts as an interceptor of the producer: the frameworks do not tell what is acknowledged. */
public final class Progress implements ProducerInterceptor<byte[], byte[]> {
    static final AtomicLong SEEN = new AtomicLong();
    static final AtomicReference<Throwable> FAILED = new AtomicReference<>();

    private static final AtomicLong SENT = new AtomicLong();
    private static final AtomicLong ACKNOWLEDGED = new AtomicLong();
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static volatile long wall;
    private static volatile long cpu;

    static void begin() {
        SEEN.set(0);
        SENT.set(0);
        ACKNOWLEDGED.set(0);
    }

    static void start() {
        wall = System.nanoTime();
        cpu = SYSTEM.getProcessCpuTime();
    }

    /** Wait until all is done and may be read; {records a second, microseconds of CPU a record}. */
    static double[] finish(Admin admin, long count, String out) throws Exception {
        while (SEEN.get() < count || ACKNOWLEDGED.get() < SENT.get() || !committed(admin, out)) {
            idle();
        }
        double seconds = (System.nanoTime() - wall) / 1e9;
        return new double[] {count / seconds, (SYSTEM.getProcessCpuTime() - cpu) / 1e3 / count};
    }

    static void idle() throws Exception {
        if (FAILED.get() != null) {
            throw new IllegalStateException(FAILED.get());
        }
        Thread.sleep(2);
    }

    /** Whether all that is in the topic may be read by who reads committed records only. */
    private static boolean committed(Admin admin, String out) throws Exception {
        int partitions = admin.describeTopics(List.of(out)).allTopicNames().get().get(out).partitions().size();
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        for (int p = 0; p < partitions; p++) {
            ends.put(new TopicPartition(out, p), OffsetSpec.latest());
        }
        var all = admin.listOffsets(ends, new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED)).all().get();
        var stable = admin.listOffsets(ends, new ListOffsetsOptions(IsolationLevel.READ_COMMITTED)).all().get();
        return ends.keySet().stream().allMatch(p -> all.get(p).offset() == stable.get(p).offset());
    }

    @Override
    public ProducerRecord<byte[], byte[]> onSend(ProducerRecord<byte[], byte[]> record) {
        SENT.incrementAndGet();
        return record;
    }

    @Override
    public void onAcknowledgement(RecordMetadata metadata, Exception error) {
        if (error != null) {
            FAILED.compareAndSet(null, error);
        }
        ACKNOWLEDGED.incrementAndGet();
    }

    @Override
    public void close() {}

    @Override
    public void configure(Map<String, ?> configs) {}
}
