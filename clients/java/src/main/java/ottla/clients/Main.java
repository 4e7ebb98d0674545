package ottla.clients;

import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;

/** Runs the Java client's cases: {@code --bootstrap HOST:PORT [--control HOST:PORT] [--only WORD]}. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            flags.put(arguments[i], arguments[i + 1]);
        }
        String bootstrap = flags.get("--bootstrap");
        if (bootstrap == null) {
            System.err.println("usage: --bootstrap HOST:PORT [--control HOST:PORT] [--only WORD]");
            System.exit(2);
        }
        System.out.println("version: kafka-clients " + clientVersion());
        Suite suite = new Suite(flags.get("--control"));
        Node node = new Node(bootstrap);
        new RecordCases(node).addTo(suite);
        new AdminCases(node).addTo(suite);
        new GroupCases(suite, node).add();
        new ConsumerProtocolCases(suite, node).add();
        new TransactionCases(suite, node).add();
        boolean good = suite.run(flags.get("--only"));
        // Clients leave threads behind when a case fails; they must not keep the process.
        System.out.flush();
        Runtime.getRuntime().halt(good ? 0 : 1);
    }

    static String clientVersion() throws IOException {
        Properties properties = new Properties();
        try (InputStream file = KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            properties.load(file);
        }
        return properties.getProperty("version");
    }
}
