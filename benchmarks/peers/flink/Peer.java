import java.io.IOException;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Flink's DataStream API: Kafka source, flat map, Kafka sink, chained. */
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
        private final String plan;
        private transient Flink.Ingest ingest;

        Ingest(String plan) {
            this.plan = plan;
        }

        @Override
        public void open(OpenContext context) throws IOException {
            ingest = new Flink.Ingest(plan);
        }

        @Override
        public void flatMap(Row row, Collector<Row> out) {
            ingest.map(row.topic, row.key, row.value, (key, value) -> out.collect(new Row(null, key, value)));
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

    private static JobClient start(StreamExecutionEnvironment environment, Flink.Job job) throws Exception {
        var source = KafkaSource.<Row>builder()
                .setBootstrapServers(job.bootstrap())
                .setTopics(job.topics())
                .setGroupId(job.name())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setDeserializer(new Raw());
        Flink.CONSUMER.forEach(source::setProperty);
        var sink = KafkaSink.<Row>builder()
                .setBootstrapServers(job.bootstrap())
                .setRecordSerializer(new Changes(job.out()))
                .setDeliveryGuarantee(DeliveryGuarantee.valueOf(job.guarantee().toUpperCase()))
                .setTransactionalIdPrefix(job.name());
        Flink.PRODUCER.forEach(sink::setProperty);
        environment.fromSource(source.build(), WatermarkStrategy.noWatermarks(), "in").flatMap(new Ingest(job.plan())).sinkTo(sink.build());
        return environment.executeAsync(job.name());
    }

    public static void main(String[] arguments) throws Exception {
        Flink.run(Peer::start, arguments);
    }
}
