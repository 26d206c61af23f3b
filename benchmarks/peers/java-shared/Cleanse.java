import com.fasterxml.jackson.databind.JsonNode;
import com.google.i18n.phonenumbers.NumberParseException;
import com.google.i18n.phonenumbers.PhoneNumberUtil;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.net.URI;
import java.text.Normalizer;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;

/** The conversions that the demo's dictionaries name, and the canonical types. Results are those of `streams.mapping.conversions`. */
final class Cleanse {
    /** A value that a conversion or a type rejects. Without a trace: it is an answer, not an accident. */
    static final class Bad extends RuntimeException {
        private static final long serialVersionUID = 1;

        Bad(String reason, Object value) {
            super(reason + ": " + value, null, false, false);
        }
    }

    interface Step {
        Object of(Object value, Object other);
    }

    private static final int KEPT = 8_192;
    private static final Pattern ADDRESS = Pattern.compile("[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]{2,}");
    private static final Pattern HOST = Pattern.compile("[\\w-]+(\\.[\\w-]+)+");
    private static final Set<String> EU = Set.of(
            "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT",
            "RO", "SE", "SI", "SK", "XI");
    private static final String USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY";

    private final JsonNode words;
    private final Map<String, Map<String, String>> dictionaries = new HashMap<>();
    private final PhoneNumberUtil phones = PhoneNumberUtil.getInstance();

    Cleanse(JsonNode words) {
        this.words = words;
    }

    Step step(String name, JsonNode options) {
        return switch (name) {
            case "nfkc" -> (v, o) -> Normalizer.normalize(text(v), Normalizer.Form.NFKC);
            case "trim" -> (v, o) -> emptyIsNull(text(v).strip());
            case "collapse" -> (v, o) -> emptyIsNull(collapse(text(v)));
            case "lower" -> (v, o) -> text(v).toLowerCase(Locale.ROOT);
            case "yyyymmdd" -> remembered((v, o) -> yyyymmdd(v));
            case "boolean" -> {
                Set<String> yes = folded(options.has("true") ? options.get("true") : words.get("true"));
                Set<String> no = folded(options.has("false") ? options.get("false") : words.get("false"));
                yield (v, o) -> truth(v, yes, no);
            }
            case "country" -> remembered((v, o) -> country(v));
            case "language" -> remembered((v, o) -> language(v));
            case "currency" -> remembered((v, o) -> currency(v));
            case "unit_code" -> remembered((v, o) -> unit(v));
            case "gtin" -> remembered((v, o) -> gtin(v));
            case "email" -> remembered((v, o) -> email(v));
            case "url" -> remembered((v, o) -> url(v));
            case "phone" -> {
                String country = options.hasNonNull("country") ? options.get("country").asText() : null;
                yield remembered((v, o) -> phone(v, o, country));
            }
            case "tax_id" -> {
                String country = options.hasNonNull("country") ? options.get("country").asText() : null;
                yield remembered((v, o) -> taxId(v, o, country));
            }
            default -> throw new IllegalArgumentException("no Java for the conversion " + name);
        };
    }

    /** Columns hold the same values again and again; opshub remembers them, too. */
    private static Step remembered(Step step) {
        Map<List<Object>, Object> known = new HashMap<>();
        Map<Object, Object> alone = new HashMap<>();
        return (value, other) -> {
            Map<?, Object> one = other == null ? alone : known;
            Object asked = other == null ? value : List.of(value, other);
            Object made = one.get(asked);
            if (made == null) {
                made = step.of(value, other);
                if (one.size() >= KEPT) {
                    one.clear();
                }
                if (other == null) {
                    alone.put(asked, made);
                } else {
                    known.put(List.of(value, other), made);
                }
            }
            return made;
        };
    }

    /** The function from a value to the type of the field that the plan describes. */
    Function<Object, Object> finish(JsonNode plan) {
        Function<Object, Object> own = switch (plan.get("kind").asText()) {
            case "text" -> Cleanse::text;
            case "int" -> value -> decimal(value).longValueExact();
            case "bool" -> Cleanse::bool;
            case "date" -> Cleanse::day;
            case "tags" -> Cleanse::tags;
            case "decimal" -> unscaled(plan.get("scale").asInt(), plan.path("round").asText(""));
            case "timestamp" -> instant(plan.get("timezone").asText());
            default -> throw new IllegalArgumentException("no Java for the type " + plan.get("kind"));
        };
        if (!plan.hasNonNull("values")) {
            return own;
        }
        Map<String, Object> values = new HashMap<>();
        plan.get("values").properties().forEach(entry -> values.put(entry.getKey(), Mapper.constant(entry.getValue())));
        String unknown = plan.get("unknown").asText();
        return value -> {
            Object found = values.get(text(value));
            if (found != null || values.containsKey(text(value))) {
                return found;
            }
            return switch (unknown) {
                case "null" -> null;
                case "pass" -> own.apply(value);
                default -> throw new Bad("no rule for this value", value);
            };
        };
    }

    // ---- types ----

    static String text(Object value) {
        if (value instanceof String text) {
            return text;
        }
        if (value instanceof Long || value instanceof Boolean) {
            return value.toString();
        }
        if (value instanceof BigDecimal number) {
            return number.toPlainString();
        }
        throw new Bad("not a text", value);
    }

    static BigDecimal decimal(Object value) {
        try {
            return switch (value) {
                case BigDecimal number -> number;
                case Long number -> BigDecimal.valueOf(number);
                case String text -> new BigDecimal(text);
                default -> throw new Bad("not a number", value);
            };
        } catch (NumberFormatException error) {
            throw new Bad("not a number", value);
        }
    }

    private static Object bool(Object value) {
        if (value instanceof Boolean) {
            return value;
        }
        if (value instanceof Long number && (number == 0 || number == 1)) {
            return number == 1;
        }
        throw new Bad("neither true nor false", value);
    }

    private static Object day(Object value) {
        return switch (value) {
            case Long days -> days;
            case LocalDate day -> day.toEpochDay();
            case String text -> LocalDate.parse(text).toEpochDay();
            default -> throw new Bad("not a day", value);
        };
    }

    private static Object tags(Object value) {
        if (value instanceof List<?> items) {
            return items.stream().filter(item -> item != null).map(Cleanse::text).toList();
        }
        throw new Bad("not a list of texts", value);
    }

    /** A number as its integer at `scale` decimals. */
    private static Function<Object, Object> unscaled(int scale, String round) {
        RoundingMode mode = switch (round) {
            case "half_even" -> RoundingMode.HALF_EVEN;
            case "half_up" -> RoundingMode.HALF_UP;
            case "down" -> RoundingMode.DOWN;
            default -> RoundingMode.UNNECESSARY;
        };
        return value -> {
            try {
                BigInteger whole = decimal(value).setScale(scale, mode).unscaledValue();
                return whole.bitLength() < 64 ? (Object) whole.longValue() : whole;
            } catch (ArithmeticException error) {
                throw new Bad("more than " + scale + " decimals", value);
            }
        };
    }

    /** Microseconds since 1970: of ISO text, or of microseconds on a wall clock. Of two readings the earlier one. */
    private static Function<Object, Object> instant(String timezone) {
        ZoneId zone = ZoneId.of(timezone);
        return value -> switch (value) {
            case String text when text.endsWith("Z") -> ChronoUnit.MICROS.between(Instant.EPOCH, Instant.parse(text));
            case Long local -> zone.getId().equals("UTC") ? local : local - offset(zone, LocalDateTime.ofEpochSecond(
                    Math.floorDiv(local, 1_000_000L), (int) Math.floorMod(local, 1_000_000L) * 1000, ZoneOffset.UTC)) * 1_000_000L;
            case LocalDate day -> (day.toEpochDay() * 86_400L - offset(zone, day.atStartOfDay())) * 1_000_000L;
            default -> throw new Bad("not a time", value);
        };
    }

    private static long offset(ZoneId zone, LocalDateTime local) {
        return zone.getRules().getOffset(local).getTotalSeconds();
    }

    // ---- conversions ----

    private static String emptyIsNull(String text) {
        return text.isEmpty() ? null : text;
    }

    private static String collapse(String text) {
        StringBuilder made = new StringBuilder(text.length());
        boolean blank = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isWhitespace(c) || Character.isSpaceChar(c)) {
                blank = true;
            } else {
                if (blank && !made.isEmpty()) {
                    made.append(' ');
                }
                blank = false;
                made.append(c);
            }
        }
        return made.toString();
    }

    private static Object yyyymmdd(Object value) {
        String text = value instanceof Long || value instanceof String ? value.toString() : "?";
        if (text.chars().allMatch(c -> c == '0' || c == ' ')) {
            return null;
        }
        if (text.length() != 8 || !digits(text)) {
            throw new Bad("not a day in the form yyyymmdd", value);
        }
        try {
            return LocalDate.of(Integer.parseInt(text, 0, 4, 10), Integer.parseInt(text, 4, 6, 10), Integer.parseInt(text, 6, 8, 10));
        } catch (DateTimeException error) {
            throw new Bad("not a day that the calendar has", value);
        }
    }

    private static Set<String> folded(JsonNode texts) {
        Set<String> found = new HashSet<>();
        texts.forEach(text -> found.add(text.asText().toLowerCase(Locale.ROOT)));
        return found;
    }

    private static Object truth(Object value, Set<String> yes, Set<String> no) {
        if (value instanceof Boolean) {
            return value;
        }
        String text = text(value).strip().toLowerCase(Locale.ROOT);
        if (yes.contains(text)) {
            return true;
        }
        if (no.contains(text)) {
            return false;
        }
        throw new Bad("neither true nor false", value);
    }

    private Map<String, String> words(String name) {
        return dictionaries.computeIfAbsent(name, key -> {
            Map<String, String> found = new HashMap<>();
            words.get(key).properties().forEach(entry -> found.put(entry.getKey(), entry.getValue().asText()));
            return found;
        });
    }

    /** A name as it is compared: no case, no marks, no points. */
    private static String plain(String text) {
        String folded = Normalizer.normalize(text, Normalizer.Form.NFKD).toLowerCase(Locale.ROOT).replace("ß", "ss");
        return collapse(folded.replaceAll("[\\p{M}.,'\u2019()]", ""));
    }

    private String country(Object value) {
        String text = text(value).strip();
        if (text.isEmpty()) {
            return null;
        }
        String code = words("country").get(plain(text));
        if (code == null) {
            throw new Bad("not a country that ISO 3166 knows", value);
        }
        return code;
    }

    private String language(Object value) {
        String text = text(value).strip();
        if (text.isEmpty()) {
            return null;
        }
        String code = words("language").get(plain(text));
        if (code == null) {
            code = words("language").get(text.split("[_\\-.@]", 2)[0].toLowerCase(Locale.ROOT));
        }
        if (code == null) {
            throw new Bad("not a language that ISO 639 knows", value);
        }
        return code;
    }

    private String currency(Object value) {
        String text = text(value).strip().toUpperCase(Locale.ROOT);
        if (text.isEmpty()) {
            return null;
        }
        String code = words("currency").get(text);
        if (code == null) {
            throw new Bad("not a currency that ISO 4217 knows", value);
        }
        return code;
    }

    private String unit(Object value) {
        String text = text(value).strip();
        if (text.isEmpty()) {
            return null;
        }
        String code = words("unit").get(text.toLowerCase(Locale.ROOT).replaceFirst("\\.+$", ""));
        if (code == null) {
            throw new Bad("not a unit of measure that is known", value);
        }
        return code;
    }

    private static String gtin(Object value) {
        String text = text(value).replaceAll("[\\s-]", "");
        if (text.isEmpty()) {
            return null;
        }
        int length = text.length();
        if (!digits(text) || length != 8 && length != 12 && length != 13 && length != 14) {
            throw new Bad("not a GTIN", value);
        }
        int total = 0;
        for (int i = 0; i < length; i++) {
            total += (text.charAt(length - 1 - i) - '0') * (i % 2 == 1 ? 3 : 1);
        }
        if (total % 10 != 0) {
            throw new Bad("a GTIN with a wrong check digit", value);
        }
        String bare = text.replaceFirst("^0+", "");
        int whole = bare.length() <= 8 ? 8 : Math.max(12, bare.length());
        return "0".repeat(whole - bare.length()) + bare;
    }

    /** Plain addresses: comments, quoted and international ones, which email-validator reads, are not in the demo. */
    private static String email(Object value) {
        String text = text(value).strip();
        if (text.isEmpty()) {
            return null;
        }
        if (!ADDRESS.matcher(text).matches()) {
            throw new Bad("not an e-mail address", value);
        }
        int at = text.lastIndexOf('@');
        return text.substring(0, at + 1) + text.substring(at + 1).toLowerCase(Locale.ROOT);
    }

    private static String url(Object value) {
        String text = text(value).strip();
        if (text.isEmpty()) {
            return null;
        }
        String whole = text.matches("[a-zA-Z][a-zA-Z0-9+.-]*://.*") ? text : "https://" + text;
        URI parts;
        try {
            parts = URI.create(whole);
        } catch (IllegalArgumentException error) {
            throw new Bad("not a web address", value);
        }
        String host = parts.getHost() == null ? "" : parts.getHost().toLowerCase(Locale.ROOT);
        String scheme = parts.getScheme().toLowerCase(Locale.ROOT);
        if (!scheme.equals("http") && !scheme.equals("https") || !HOST.matcher(host).matches() || parts.getUserInfo() != null) {
            throw new Bad("not a web address", value);
        }
        String query = parts.getRawQuery() == null || parts.getRawQuery().isEmpty() ? "" : "?" + parts.getRawQuery();
        String fragment = parts.getRawFragment() == null || parts.getRawFragment().isEmpty() ? "" : "#" + parts.getRawFragment();
        String path = parts.getRawPath().equals("/") && query.isEmpty() ? "" : parts.getRawPath();
        return scheme + "://" + host + (parts.getPort() > 0 ? ":" + parts.getPort() : "") + path + query + fragment;
    }

    private String phone(Object value, Object where, String country) {
        String text = Normalizer.normalize(text(value), Normalizer.Form.NFKC).strip();
        if (text.isEmpty()) {
            return null;
        }
        String region = region(where, country);
        try {
            var number = phones.parse(text, region);
            boolean international = text.startsWith("+") || text.startsWith("00");
            if (!(international ? phones.isPossibleNumber(number) : phones.isValidNumber(number))) {
                throw new Bad("not a phone number of " + region, value);
            }
            String made = phones.format(number, PhoneNumberUtil.PhoneNumberFormat.E164);
            if (!phones.format(phones.parse(made, null), PhoneNumberUtil.PhoneNumberFormat.E164).equals(made)) {
                throw new Bad("not a phone number that can be written in one way", value);
            }
            return number.hasExtension() && !number.getExtension().isEmpty() ? made + ";ext=" + number.getExtension() : made;
        } catch (NumberParseException error) {
            throw new Bad("not a phone number", value);
        }
    }

    private String region(Object where, String otherwise) {
        if (where == null || where.equals("")) {
            return otherwise;
        }
        try {
            String found = country(where);
            return found == null ? otherwise : found;
        } catch (Bad bad) {
            return otherwise;
        }
    }

    private String taxId(Object value, Object where, String country) {
        String text = Normalizer.normalize(text(value), Normalizer.Form.NFKC).replaceAll("[\\s.\\-/·]", "").toUpperCase(Locale.ROOT);
        if (text.isEmpty()) {
            return null;
        }
        String prefix = text.substring(0, Math.min(2, text.length()));
        if (EU.contains(prefix) && text.substring(2).chars().anyMatch(Character::isDigit)) {
            return checked(text.substring(2), prefix, prefix, value);
        }
        String rules = region(where, country);
        if (rules == null) {
            throw new Bad("a tax number without country letters", value);
        }
        return checked(text.startsWith(rules) ? text.substring(2) : text, rules, EU.contains(rules) ? rules : "", value);
    }

    /** The rules of the countries of the demo's company. */
    private static String checked(String given, String country, String letters, Object value) {
        String number = given;
        boolean right = switch (country) {
            case "DE" -> number.length() == 9 && digits(number) && number.charAt(0) != '0' && mod11of10(number);
            case "AT" -> number.matches("U[0-9]{8}") && austrian(number.substring(1));
            case "FR" -> number.matches("[0-9]{11}") && luhn(number.substring(2))
                    && Integer.parseInt(number.substring(0, 2)) == Long.parseLong(number.substring(2) + "12") % 97;
            case "IT" -> number.matches("[0-9]{11}") && luhn(number);
            case "PL" -> number.matches("[0-9]{10}") && weighted(number, 6, 5, 7, 2, 3, 4, 5, 6, 7, -1) % 11 == 0;
            case "CN" -> number.matches("[0-9]{8}[" + USCC + "]{10}") && uscc(number);
            default -> throw new IllegalArgumentException("no Java for tax numbers of " + country);
        };
        if (!right) {
            throw new Bad("not a tax number of " + country, value);
        }
        return number.startsWith(letters) ? number : letters + number;
    }

    private static boolean digits(String text) {
        return !text.isEmpty() && text.chars().allMatch(c -> c >= '0' && c <= '9');
    }

    private static boolean mod11of10(String number) {
        int check = 5;
        for (int i = 0; i < number.length(); i++) {
            check = ((check == 0 ? 10 : check) * 2 % 11 + number.charAt(i) - '0') % 10;
        }
        return check == 1;
    }

    private static boolean austrian(String number) {
        int total = 4;
        for (int i = 0; i < 7; i++) {
            int twice = (number.charAt(i) - '0') * (i % 2 == 0 ? 1 : 2);
            total += twice / 10 + twice % 10;
        }
        return (10 - total % 10) % 10 == number.charAt(7) - '0';
    }

    private static boolean luhn(String number) {
        int total = 0;
        for (int i = 0; i < number.length(); i++) {
            int digit = (number.charAt(number.length() - 1 - i) - '0') * (i % 2 + 1);
            total += digit / 10 + digit % 10;
        }
        return total % 10 == 0;
    }

    private static int weighted(String number, int... weights) {
        int total = 0;
        for (int i = 0; i < weights.length; i++) {
            total += weights[i] * (number.charAt(i) - '0');
        }
        return total;
    }

    private static boolean uscc(String number) {
        int total = 0;
        int weight = 1;
        for (int i = 0; i < 17; i++) {
            total += USCC.indexOf(number.charAt(i)) * weight;
            weight = weight * 3 % 31;
        }
        return USCC.charAt((31 - total % 31) % 31) == number.charAt(17);
    }
}
