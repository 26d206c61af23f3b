import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;

/**
 * Debezium's JSON → changes as Avro with the Confluent header, by a plan (`plan.py`) that says the same as the dictionaries.
 *
 * <p>Promise: the changes are those that opshub writes, in the Avro form that it had until 2026-11-30, for all that the demo's dictionaries use. What they do not use is not here: it ends the peer.
 */
final class Mapper {
    /** What the source did not send: it says nothing, where null says empty. */
    static final Object UNSET = new Object();

    private static final String PLACEHOLDER = "__debezium_unavailable_value";
    private static final String OPS = "cudrt";
    private static final JsonFactory JSON = new JsonFactory();

    /** A value of a row, from the values of its columns. */
    interface Source {
        Object of(Object[] row);
    }

    private record Field(String name, int[] columns, Source source) {
        boolean said(Object[] row) {
            for (int column : columns) {
                if (row[column] == UNSET) {
                    return false;
                }
            }
            return true;
        }
    }

    private final class Target {
        final byte[] head;
        final Ids ids;
        final Source deleted;
        final Source parent;
        final Source sameAs;
        final boolean parentFromKey;
        final List<Field> fields = new ArrayList<>();
        final List<Field> attributes = new ArrayList<>();

        Target(JsonNode plan, Table table) {
            head = bytes(plan.get("entity").asText());
            ids = ids(table.systemName, plan.get("entity").asText());
            deleted = plan.hasNonNull("deleted") ? table.expression(plan.get("deleted").asText()) : row -> false;
            parent = plan.hasNonNull("parent") ? table.reference(plan.get("parent")) : row -> null;
            parentFromKey = plan.get("parent_from_key").asBoolean();
            sameAs = plan.hasNonNull("same_as") ? table.reference(plan.get("same_as")) : row -> null;
            plan.get("fields").forEach(field -> fields.add(table.field(field)));
            plan.get("attributes").forEach(field -> attributes.add(table.field(field)));
        }
    }

    private final class Table {
        final String systemName;
        final byte[] system;
        final Map<String, Integer> columns = new HashMap<>();
        final int[] key;
        final Target target;

        Table(JsonNode plan) {
            systemName = plan.get("system").asText();
            system = bytes(systemName);
            plan.get("columns").forEach(column -> columns.put(column.asText(), columns.size()));
            key = indexes(plan.get("key"));
            target = new Target(plan.get("target"), this);
        }

        int[] indexes(JsonNode names) {
            int[] found = new int[names.size()];
            for (int i = 0; i < found.length; i++) {
                found[i] = columns.get(names.get(i).asText());
            }
            return found;
        }

        /** The conditions and sums of the demo's dictionaries; a Streams program has no language for them either. */
        Source expression(String text) {
            switch (text) {
                case "is_deleted": {
                    int column = columns.get("is_deleted");
                    return row -> (Boolean) row[column];
                }
                case "del_flag == \"X\"": {
                    int column = columns.get("del_flag");
                    return row -> "X".equals(row[column]);
                }
                case "qty == null ? null : decimal(qty) - decimal(coalesce(rsv, 0))": {
                    int quantity = columns.get("qty");
                    int reserved = columns.get("rsv");
                    return row -> row[quantity] == null ? null
                            : Cleanse.decimal(row[quantity]).subtract(row[reserved] == null ? BigDecimal.ZERO : Cleanse.decimal(row[reserved]));
                }
                default:
                    throw new IllegalArgumentException("no Java for the expression " + text);
            }
        }

        Source reference(JsonNode plan) {
            int column = columns.get(plan.get("column").asText());
            Ids of = ids(plan.get("system").asText(), plan.get("entity").asText());
            return row -> row[column] == null || row[column].equals("") ? null : of.of(keyText(row[column]));
        }

        Field field(JsonNode plan) {
            int[] read = indexes(plan.get("columns"));
            if (plan.get("kind").asText().equals("ref")) {
                return new Field(plan.get("name").asText(), read, reference(plan.get("ref")));
            }
            Source made = origin(plan, read);
            for (JsonNode step : plan.get("steps")) {
                Source before = made;
                Cleanse.Step convert = cleanse.step(step.get("name").asText(), step.get("options"));
                int other = step.hasNonNull("column") ? columns.get(step.get("column").asText()) : -1;
                made = row -> {
                    Object value = before.of(row);
                    return value == null ? null : convert.of(value, other < 0 ? null : row[other]);
                };
            }
            Source whole = made;
            Function<Object, Object> finish = cleanse.finish(plan);
            Object or = plan.hasNonNull("default") ? constant(plan.get("default")) : null;
            Source typed = row -> {
                Object value = whole.of(row);
                Object done = value == null ? null : finish.apply(value);
                return done == null ? or : done;
            };
            if (!plan.get("bad_is_null").asBoolean()) {
                return new Field(plan.get("name").asText(), read, typed);
            }
            return new Field(plan.get("name").asText(), read, row -> {
                try {
                    return typed.of(row);
                } catch (Cleanse.Bad bad) {
                    return or;
                }
            });
        }

        private Source origin(JsonNode plan, int[] read) {
            if (plan.hasNonNull("expr")) {
                return expression(plan.get("expr").asText());
            }
            if (!plan.hasNonNull("join")) {
                int column = read[0];
                return row -> row[column];
            }
            String separator = plan.get("join").asText();
            int joined = plan.get("joined").asInt();
            return row -> {
                StringBuilder all = new StringBuilder();
                for (int i = 0; i < joined; i++) {
                    Object part = row[read[i]];
                    if (part != null && !part.equals("")) {
                        all.append(all.isEmpty() ? "" : separator).append(Cleanse.text(part));
                    }
                }
                return all.isEmpty() ? null : all.toString();
            };
        }
    }

    /** key → id, as `streams.model.ids`: a UUIDv5, its text. What was asked lately is kept. */
    private static final class Ids {
        private final MessageDigest begun;
        private final Map<String, String> known = new HashMap<>();

        Ids(byte[] namespace, String system, String entity) {
            begun = sha1();
            begun.update(namespace);
            begun.update(utf8(system + "/" + entity + "/"));
        }

        String of(String key) {
            String made = known.get(key);
            if (made == null) {
                if (known.size() >= 16_384) {
                    known.clear();
                }
                made = make(key);
                known.put(key, made);
            }
            return made;
        }

        private String make(String key) {
            try {
                byte[] hash = ((MessageDigest) begun.clone()).digest(utf8(key));
                hash[6] = (byte) (hash[6] & 0x0f | 0x50);
                hash[8] = (byte) (hash[8] & 0x3f | 0x80);
                String text = HexFormat.of().formatHex(hash, 0, 16);
                return text.substring(0, 8) + '-' + text.substring(8, 12) + '-' + text.substring(12, 16) + '-' + text.substring(16, 20) + '-'
                        + text.substring(20);
            } catch (CloneNotSupportedException error) {
                throw new IllegalStateException(error);
            }
        }

        private static MessageDigest sha1() {
            try {
                return MessageDigest.getInstance("SHA-1");
            } catch (NoSuchAlgorithmException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    /** A buffer that gives its bytes without a copy. */
    private static final class Buffer extends ByteArrayOutputStream {
        byte[] array() {
            return buf;
        }
    }

    private final Map<String, Table> tables = new HashMap<>();
    private final Map<String, Ids> ids = new HashMap<>();
    private final Map<String, Table> byTopic = new HashMap<>();
    private final byte[] namespace;
    private final byte[] header;
    private final Cleanse cleanse;
    private final Buffer out = new Buffer();
    private final Buffer fields = new Buffer();

    Mapper(JsonNode plan) {
        namespace = HexFormat.of().parseHex(plan.get("namespace").asText());
        int id = plan.get("schema_id").asInt();
        header = new byte[] {0, (byte) (id >> 24), (byte) (id >> 16), (byte) (id >> 8), (byte) id, 0};
        cleanse = new Cleanse(plan.get("words"));
        plan.get("tables").properties().forEach(entry -> tables.put(entry.getKey(), new Table(entry.getValue())));
    }

    private Ids ids(String system, String entity) {
        return ids.computeIfAbsent(system + "/" + entity, name -> new Ids(namespace, system, entity));
    }

    /** Each change of one raw record, as (key, value). */
    void map(String topic, byte[] key, byte[] value, BiConsumer<byte[], byte[]> emit) {
        Table table = byTopic.computeIfAbsent(topic, name -> tables.get(name.substring(0, name.lastIndexOf(".bench"))));
        try {
            read(table, key, value, emit);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private void read(Table table, byte[] key, byte[] value, BiConsumer<byte[], byte[]> emit) throws IOException {
        Object[] before = null;
        Object[] after = null;
        String op = null;
        String tx = null;
        String origin = null;
        String sequence = null;
        String snapshot = null;
        long lsn = -1;
        long micros = 0;
        try (JsonParser in = JSON.createParser(value)) {
            in.nextToken();
            for (String name = in.nextFieldName(); name != null; name = in.nextFieldName()) {
                JsonToken token = in.nextToken();
                switch (name) {
                    case "op" -> op = in.getText();
                    case "before" -> before = token == JsonToken.VALUE_NULL ? null : row(table, in);
                    case "after" -> after = token == JsonToken.VALUE_NULL ? null : row(table, in);
                    case "source" -> {
                        for (String part = in.nextFieldName(); part != null; part = in.nextFieldName()) {
                            JsonToken kind = in.nextToken();
                            if (kind == JsonToken.VALUE_NULL) {
                                continue;
                            }
                            switch (part) {
                                case "txId" -> tx = in.getText();
                                case "origin" -> origin = in.getText();
                                case "sequence" -> sequence = in.getText();
                                case "snapshot" -> snapshot = in.getText();
                                case "lsn" -> lsn = in.getLongValue();
                                case "ts_us" -> micros = in.getLongValue();
                                default -> in.skipChildren();
                            }
                        }
                    }
                    default -> in.skipChildren();
                }
            }
        }
        if (op == null || op.equals("m")) {
            return;
        }
        long major = 0;
        long minor = 0;
        // Rows of the first snapshot come before all.
        if (snapshot == null || snapshot.equals("false") || snapshot.equals("incremental")) {
            major = 1;
            minor = lsn;
            if (sequence != null) {
                String[] parts = sequence.substring(1, sequence.length() - 1).split(",");
                String last = unquoted(parts[0]);
                String own = unquoted(parts[1]);
                major = last.equals("null") ? 1 : Long.parseLong(last);
                minor = lsn >= 0 ? lsn : own.equals("null") ? 0 : Long.parseLong(own);
            }
        }
        Target target = table.target;
        boolean gone = op.equals("d");
        Object[] row = after;
        if (gone) {
            row = key != null ? keyRow(table, key) : before;
        }
        String ownKey = table.key.length == 1 ? keyText(row[table.key[0]]) : joinedKey(table, row);
        String id = target.ids.of(ownKey);
        boolean deleted = gone || (Boolean) target.deleted.of(row);
        String parent = (String) (gone && !target.parentFromKey ? null : target.parent.of(row));
        String sameAs = (String) (gone ? null : target.sameAs.of(row));
        fields.reset();
        if (gone) {
            fields.write('{');
            fields.write('}');
        } else {
            write(target, row);
        }
        out.reset();
        out.write(header, 0, header.length);
        out.write(target.head, 0, target.head.length);
        text(id);
        out.write(table.system, 0, table.system.length);
        text(ownKey);
        out.write(2 * OPS.indexOf(op));
        varint(0);
        varint(major);
        varint(minor);
        varint(micros);
        optional(tx);
        optional(origin);
        optional(parent);
        optional(sameAs);
        optional(null);
        out.write(deleted ? 1 : 0);
        varint(0);
        varint(fields.size());
        out.write(fields.array(), 0, fields.size());
        emit.accept(utf8(parent != null ? parent : id), out.toByteArray());
    }

    private static String unquoted(String part) {
        String text = part.strip();
        return text.startsWith("\"") ? text.substring(1, text.length() - 1) : text;
    }

    private static String joinedKey(Table table, Object[] row) {
        StringBuilder all = new StringBuilder();
        for (int column : table.key) {
            String part = keyText(row[column]);
            all.append(all.isEmpty() ? "" : "|").append(part.replace("\\", "\\\\").replace("|", "\\|"));
        }
        return all.toString();
    }

    private static String keyText(Object value) {
        if (value instanceof String || value instanceof Long) {
            return value.toString();
        }
        throw new IllegalArgumentException("not usable as a key: " + value);
    }

    private static Object[] keyRow(Table table, byte[] key) throws IOException {
        try (JsonParser in = JSON.createParser(key)) {
            in.nextToken();
            return row(table, in);
        }
    }

    /** The columns that the dictionary reads; the others are passed over. */
    private static Object[] row(Table table, JsonParser in) throws IOException {
        Object[] row = new Object[table.columns.size()];
        Arrays.fill(row, UNSET);
        for (String name = in.nextFieldName(); name != null; name = in.nextFieldName()) {
            JsonToken token = in.nextToken();
            Integer column = table.columns.get(name);
            if (column == null) {
                in.skipChildren();
            } else {
                row[column] = value(in, token);
            }
        }
        return row;
    }

    private static Object value(JsonParser in, JsonToken token) throws IOException {
        return switch (token) {
            case VALUE_NULL -> null;
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NUMBER_INT -> in.getLongValue();
            case VALUE_NUMBER_FLOAT -> in.getDecimalValue();
            case START_ARRAY -> {
                List<Object> items = new ArrayList<>();
                for (JsonToken next = in.nextToken(); next != JsonToken.END_ARRAY; next = in.nextToken()) {
                    items.add(value(in, next));
                }
                yield items.size() == 1 && PLACEHOLDER.equals(items.get(0)) ? UNSET : items;
            }
            case VALUE_STRING -> {
                String text = in.getText();
                yield text.equals(PLACEHOLDER) ? UNSET : text;
            }
            default -> throw new IOException("a column with " + token);
        };
    }

    private void write(Target target, Object[] row) throws IOException {
        try (JsonGenerator json = JSON.createGenerator(fields)) {
            json.writeStartObject();
            for (Field field : target.fields) {
                if (field.said(row)) {
                    json.writeFieldName(field.name);
                    write(json, field.source.of(row));
                }
            }
            // The map is one value: all of it or nothing.
            if (!target.attributes.isEmpty() && target.attributes.stream().allMatch(field -> field.said(row))) {
                json.writeObjectFieldStart("attributes");
                for (Field field : target.attributes) {
                    Object value = field.source.of(row);
                    if (value != null) {
                        json.writeStringField(field.name, (String) value);
                    }
                }
                json.writeEndObject();
            }
            json.writeEndObject();
        }
    }

    private static void write(JsonGenerator json, Object value) throws IOException {
        switch (value) {
            case null -> json.writeNull();
            case String text -> json.writeString(text);
            case Long number -> json.writeNumber(number);
            case Boolean flag -> json.writeBoolean(flag);
            case BigInteger number -> json.writeNumber(number);
            case List<?> items -> {
                json.writeStartArray();
                for (Object item : items) {
                    write(json, item);
                }
                json.writeEndArray();
            }
            default -> throw new IOException("no JSON for " + value.getClass());
        }
    }

    static Object constant(JsonNode node) {
        return node.isTextual() ? node.asText() : node.isBoolean() ? (Object) node.asBoolean() : node.isNull() ? null : (Object) node.asLong();
    }

    // ---- Avro ----

    private void varint(long value) {
        long rest = value << 1 ^ value >> 63;
        while ((rest & ~0x7fL) != 0) {
            out.write((int) (rest & 0x7f | 0x80));
            rest >>>= 7;
        }
        out.write((int) rest);
    }

    private void text(String text) {
        byte[] raw = utf8(text);
        varint(raw.length);
        out.write(raw, 0, raw.length);
    }

    private void optional(String text) {
        if (text == null) {
            out.write(0);
        } else {
            out.write(2);
            text(text);
        }
    }

    /** A short text with its length before it. */
    private static byte[] bytes(String text) {
        byte[] raw = utf8(text);
        byte[] made = new byte[raw.length + 1];
        made[0] = (byte) (2 * raw.length);
        System.arraycopy(raw, 0, made, 1, raw.length);
        return made;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
