package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.created;
import static ottla.keeper.Servers.refused;
import static ottla.keeper.Servers.text;

import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.ZooKeeper.States;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** Sessions that are cut off, taken up elsewhere, and expire. */
final class SessionCases {
    private static final List<ACL> OPEN = Ids.OPEN_ACL_UNSAFE;
    private final Servers servers;

    SessionCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("a_cut_connection_is_no_end_of_a_session", this::cut);
        servers.add("a_session_that_was_away_too_long_has_expired", this::expired);
        servers.add("a_session_is_taken_up_by_another_process", this::takenUp);
        servers.add("a_moved_session_sees_its_own_writes", this::moved);
        servers.add("a_client_changes_servers_when_its_list_changes", this::serverList);
        servers.add("the_session_timeout_is_agreed_upon", this::timeout);
        servers.add("calls_in_flight_end_with_the_connection", this::inFlight);
        servers.add("the_loss_of_the_leader_keeps_sessions", this::leaderLost);
    }

    private void cut(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        Events events = new Events();
        ZooKeeper client = created(clients.start(proxy.address(), Servers.SESSION_MS, events), path);
        client.create(path + "/e", null, OPEN, CreateMode.EPHEMERAL);
        long id = client.getSessionId();
        for (int turn = 1; turn <= 3; turn++) {
            proxy.cut();
            events.expectState(KeeperState.Disconnected);
            int connects = turn + 1;
            eventually(
                    () -> events.states().stream().filter(s -> s == KeeperState.SyncConnected).count() >= connects,
                    () -> "the client connects again, states " + events.states());
            checkEqual(client.getSessionId(), id, "the session");
        }
        checkEqual(client.exists(path + "/e", false).getEphemeralOwner(), id, "the owner of the ephemeral");
    }

    private void expired(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        Events events = new Events();
        ZooKeeper watcher = created(clients.start(), path);
        ZooKeeper client = clients.start(proxy.address(), 3000, events);
        client.sync(path);
        client.create(path + "/e", null, OPEN, CreateMode.EPHEMERAL);
        Events deleted = new Events();
        watcher.sync(path);
        watcher.exists(path + "/e", deleted);
        proxy.refuse(true);
        deleted.expect("NodeDeleted " + path + "/e");
        proxy.refuse(false);
        events.expectState(KeeperState.Expired);
        refused(Code.SESSIONEXPIRED, () -> client.exists(path, false));
        checkEqual(client.getState(), States.CLOSED, "the client's state");
    }

    private void takenUp(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        ZooKeeper first = created(clients.start(proxy.address()), path);
        first.create(path + "/e", null, OPEN, CreateMode.EPHEMERAL);
        proxy.refuse(true);
        ZooKeeper second = clients.takeUp(servers.connect, first);
        checkEqual(second.getSessionId(), first.getSessionId(), "the session");
        checkEqual(second.getEphemerals(path), List.of(path + "/e"), "its ephemerals");
        second.delete(path + "/e", -1);
        second.close();
        proxy.refuse(false);
        eventually(() -> first.getState() == States.CLOSED, () -> "the first process learns that it is over");
    }

    private void moved(Clients clients, String path) throws Exception {
        servers.needs(2);
        ZooKeeper here = created(clients.ofServer(0), path);
        for (int turn = 1; turn <= 20; turn++) {
            Stat written = here.setData(path, bytes("" + turn), -1);
            // What was seen here comes along in the same client, whose list of servers changes.
            String next = servers.addresses.get(turn % servers.addresses.size());
            here.updateServerList(next);
            Stat read = new Stat();
            String data = text(retried(() -> here.getData(path, false, read)));
            checkEqual(data, "" + turn, "its own write");
            checkEqual(read, written, "the stat of its own write");
        }
        ZooKeeper elsewhere = clients.takeUp(servers.addresses.get(1), here);
        elsewhere.sync(path);
        checkEqual(text(elsewhere.getData(path, false, null)), "20", "the last write, read by another process");
        elsewhere.setData(path, bytes("moved"), -1);
    }

    private interface Read<T> {
        T run() throws Exception;
    }

    /** A connection that is changed loses what is in flight on it. */
    private static <T> T retried(Read<T> read) throws Exception {
        for (int turn = 0; ; turn++) {
            try {
                return read.run();
            } catch (KeeperException.ConnectionLossException error) {
                check(turn < 100, "the client finds a server: " + error);
                Thread.sleep(100);
            }
        }
    }

    private void serverList(Clients clients, String path) throws Exception {
        servers.needs(2);
        Proxy first = clients.keep(new Proxy(servers.addresses.get(0)));
        Proxy second = clients.keep(new Proxy(servers.addresses.get(1)));
        ZooKeeper client = created(clients.start(first.address()), path);
        client.create(path + "/e", null, OPEN, CreateMode.EPHEMERAL);
        long id = client.getSessionId();
        client.updateServerList(second.address());
        first.refuse(true);
        retried(() -> client.setData(path, bytes("by the other way"), -1));
        checkEqual(client.getSessionId(), id, "the session");
        checkEqual(retried(() -> client.exists(path + "/e", false)).getEphemeralOwner(), id, "its ephemeral");
    }

    private void timeout(Clients clients, String path) throws Exception {
        String conf = servers.fourLetters(0, "conf");
        int least = setting(conf, "minSessionTimeout");
        int greatest = setting(conf, "maxSessionTimeout");
        checkEqual(clients.start(servers.connect, least - 50, event -> {}).getSessionTimeout(), least, "the least timeout");
        int asked = greatest * 2;
        checkEqual(clients.start(servers.connect, asked, event -> {}).getSessionTimeout(), greatest, "the greatest");
    }

    private static int setting(String conf, String name) {
        String line = conf.lines().filter(l -> l.startsWith(name + "=")).findFirst().orElseThrow();
        return Integer.parseInt(line.substring(name.length() + 1));
    }

    private void inFlight(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        ZooKeeper client = created(clients.start(proxy.address()), path);
        int[] outcomes = new int[2];
        int count = 500;
        Object changed = new Object();
        for (int number = 0; number < count; number++) {
            client.create(path + "/" + number, null, OPEN, CreateMode.PERSISTENT, (code, at, context, name) -> {
                synchronized (changed) {
                    outcomes[code == 0 ? 0 : 1]++;
                    changed.notifyAll();
                }
            }, null);
            if (number == count / 2) {
                proxy.cut();
            }
        }
        synchronized (changed) {
            long deadline = System.currentTimeMillis() + 60_000;
            while (outcomes[0] + outcomes[1] < count && System.currentTimeMillis() < deadline) {
                changed.wait(1000);
            }
        }
        checkEqual(outcomes[0] + outcomes[1], count, "outcomes");
        retried(() -> client.exists(path, false));
        ZooKeeper reader = clients.start();
        reader.sync(path);
        int there = reader.getChildren(path, false).size();
        check(there >= outcomes[0], there + " are there, and " + outcomes[0] + " were acknowledged");
    }

    private void leaderLost(Clients clients, String path) throws Exception {
        servers.needs(3);
        servers.needsControl();
        Events events = new Events();
        ZooKeeper client = created(clients.start(servers.connect, Servers.SESSION_MS, events), path);
        client.create(path + "/e", null, OPEN, CreateMode.EPHEMERAL);
        long id = client.getSessionId();
        Stat before = client.setData(path, bytes("before"), -1);
        int leader = servers.leader();
        servers.order("kill", leader);
        try {
            Stat after = retried(() -> client.setData(path, bytes("after"), -1));
            check(after.getMzxid() > before.getMzxid(), "zxids grow");
            check(after.getMzxid() >>> 32 > before.getMzxid() >>> 32, "the epoch is another one");
            checkEqual(client.getSessionId(), id, "the session");
            checkEqual(retried(() -> client.exists(path + "/e", false)).getEphemeralOwner(), id, "its ephemeral");
            check(!events.states().contains(KeeperState.Expired), "states " + events.states());
        } finally {
            servers.order("start", leader);
        }
        checkEqual(text(retried(() -> client.getData(path, false, null))), "after", "the data");
    }
}
