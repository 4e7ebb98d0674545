package ottla.keeper;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.curator.framework.CuratorFramework;
import org.apache.zookeeper.version.Info;
import ottla.clients.Suite;

/**
 * Runs the cases of ZooKeeper's Java client and its command line, or with {@code --curator} those of Curator:
 * {@code --connect HOST:PORT,… [--control HOST:PORT] [--super NAME:PASSWORD] [--sasl NAME:PASSWORD] [--only WORD]}.
 */
public final class Main {
    private static final Set<String> SWITCHES = Set.of("--curator", "--reference");

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int i = 0; i < arguments.length; i++) {
            boolean alone = SWITCHES.contains(arguments[i]) || i + 1 == arguments.length;
            flags.put(arguments[i], alone ? "" : arguments[++i]);
        }
        if (flags.get("--connect") == null) {
            System.err.println("usage: --connect HOST:PORT,… [--control HOST:PORT] [--super NAME:PASSWORD]"
                    + " [--sasl NAME:PASSWORD] [--only WORD] [--curator] [--reference]");
            System.exit(2);
        }
        Suite suite = new Suite(flags.get("--control"));
        Servers servers = new Servers(suite, flags);
        if (flags.containsKey("--curator")) {
            System.out.println("version: curator " + version(CuratorFramework.class));
            new LockCases(servers).addTo(suite);
            new SharedCases(servers).addTo(suite);
            new CacheCases(servers).addTo(suite);
        } else {
            System.out.println("version: zookeeper " + Info.MAJOR + "." + Info.MINOR + "." + Info.MICRO);
            new NodeCases(servers).addTo(suite);
            new WatchCases(servers).addTo(suite);
            new SessionCases(servers).addTo(suite);
            new AuthCases(servers).addTo(suite);
            new CliCases(servers).addTo(suite);
            new MemberCases(servers).addTo(suite);
        }
        boolean good = suite.run(flags.get("--only"));
        // Clients leave threads behind when a case fails; they must not keep the process.
        System.out.flush();
        Runtime.getRuntime().halt(good ? 0 : 1);
    }

    private static String version(Class<?> of) {
        String version = of.getPackage().getImplementationVersion();
        return version == null ? "of unknown version" : version;
    }

}
