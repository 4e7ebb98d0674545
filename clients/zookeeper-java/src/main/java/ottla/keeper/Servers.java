package ottla.keeper;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.apache.zookeeper.client.ZKClientConfig;
import ottla.clients.Suite;

/** The servers under test, and clients of them for one case at a time. */
final class Servers {
    static final int SESSION_MS = 20_000;
    private static final int CONNECT_SECONDS = 40;

    /** A case that gets its clients and a path that nobody has used. */
    interface Case {
        void run(Clients clients, String path) throws Exception;
    }

    /** What a call does that shall be refused. */
    interface Action {
        void run() throws Exception;
    }

    final String connect;
    final List<String> addresses;
    final boolean reference;
    private final Suite suite;
    private final Map<String, String> flags;

    Servers(Suite suite, Map<String, String> flags) {
        this.suite = suite;
        this.flags = flags;
        this.connect = flags.get("--connect");
        this.addresses = List.of(connect.split(","));
        this.reference = flags.containsKey("--reference");
    }

    void add(String name, Case body) {
        suite.add(name, () -> {
            try (Clients clients = new Clients(this)) {
                body.run(clients, "/" + Suite.fresh(name.replace('_', '-')));
            }
        });
    }

    void needs(int count) {
        if (addresses.size() < count) {
            throw new Suite.NotRun("needs " + count + " servers");
        }
    }

    /** NAME:PASSWORD of the superuser. */
    String superuser() {
        return flag("--super", "the superuser's name and password");
    }

    /** The name and the password of a user of SASL. */
    String[] saslUser() {
        return flag("--sasl", "a user's name and password").split(":", 2);
    }

    private String flag(String name, String what) {
        String value = flags.get(name);
        if (value == null) {
            throw new Suite.NotRun("needs " + name + ", " + what);
        }
        return value;
    }

    /** Stops, kills or starts a server, by its place from 0 on. */
    void order(String word, int place) throws Exception {
        suite.askForNode(word + " " + (place + 1));
    }

    void needsControl() {
        flag("--control", "the address that stops and starts servers");
    }

    String fourLetters(int place, String word) throws Exception {
        String address = addresses.get(place);
        int colon = address.lastIndexOf(':');
        int port = Integer.parseInt(address.substring(colon + 1));
        return FourLetterWordMain.send4LetterWord(address.substring(0, colon), port, word);
    }

    /** The place of the server that leads. */
    int leader() throws Exception {
        for (int turn = 0; turn < 200; turn++) {
            for (int place = 0; place < addresses.size(); place++) {
                String mode = mode(place);
                if (mode.equals("leader") || mode.equals("standalone")) {
                    return place;
                }
            }
            Thread.sleep(100);
        }
        throw new AssertionError("no server leads");
    }

    String mode(int place) {
        try {
            String answer = fourLetters(place, "srvr");
            int at = answer.indexOf("Mode: ");
            return at < 0 ? "none" : answer.substring(at + 6).lines().findFirst().orElse("none");
        } catch (Exception nobody) {
            return "none";
        }
    }

    /** Runs what must end in this error. */
    static void refused(KeeperException.Code code, Action action) throws Exception {
        try {
            action.run();
        } catch (KeeperException error) {
            Suite.checkEqual(error.code(), code, "the error");
            return;
        }
        throw new AssertionError(code + " was expected, and nothing was refused");
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    /** Clients that are closed when their case is over. */
    static final class Clients implements AutoCloseable {
        private final Servers servers;
        private final List<AutoCloseable> made = new ArrayList<>();

        Clients(Servers servers) {
            this.servers = servers;
        }

        <T extends AutoCloseable> T keep(T resource) {
            made.add(resource);
            return resource;
        }

        ZooKeeper start() throws Exception {
            return start(servers.connect);
        }

        ZooKeeper start(String connect) throws Exception {
            return start(connect, SESSION_MS, new Events());
        }

        ZooKeeper ofServer(int place) throws Exception {
            return start(servers.addresses.get(place));
        }

        /** A client without SASL, connected; the watcher gets its events. */
        ZooKeeper start(String connect, int timeoutMs, Watcher watcher) throws Exception {
            ConnectedWatcher connected = new ConnectedWatcher(watcher);
            ZooKeeper client = keep(new ZooKeeper(connect, timeoutMs, connected, plain()));
            connected.await(client);
            return client;
        }

        /** The session of another client, taken up. */
        ZooKeeper takeUp(String connect, ZooKeeper other) throws Exception {
            ConnectedWatcher connected = new ConnectedWatcher(event -> {});
            ZooKeeper client = keep(new ZooKeeper(
                    connect, SESSION_MS, connected, other.getSessionId(), other.getSessionPasswd(), false));
            connected.await(client);
            return client;
        }

        static ZKClientConfig plain() {
            ZKClientConfig config = new ZKClientConfig();
            config.setProperty(ZKClientConfig.ENABLE_CLIENT_SASL_KEY, "false");
            return config;
        }

        @Override
        public void close() {
            for (int i = made.size() - 1; i >= 0; i--) {
                try {
                    made.get(i).close();
                } catch (Exception error) {
                    System.out.println("    a client was not closed: " + error);
                }
            }
        }
    }

    /** Lets wait for the connection, and hands events on. */
    static final class ConnectedWatcher implements Watcher {
        private final CountDownLatch connected = new CountDownLatch(1);
        private final Watcher next;

        ConnectedWatcher(Watcher next) {
            this.next = next;
        }

        @Override
        public void process(WatchedEvent event) {
            switch (event.getState()) {
                case SyncConnected, SaslAuthenticated, ConnectedReadOnly -> connected.countDown();
                default -> {}
            }
            next.process(event);
        }

        void await(ZooKeeper client) throws InterruptedException {
            if (!connected.await(CONNECT_SECONDS, TimeUnit.SECONDS)) {
                throw new AssertionError("not connected after " + CONNECT_SECONDS + " s, state " + client.getState());
            }
        }
    }

    static ZooKeeper created(ZooKeeper client, String path) throws Exception {
        client.create(path, bytes(""), Ids.OPEN_ACL_UNSAFE, org.apache.zookeeper.CreateMode.PERSISTENT);
        return client;
    }
}
