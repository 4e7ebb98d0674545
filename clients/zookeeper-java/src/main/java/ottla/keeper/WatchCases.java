package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.created;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** Watches: once, for good, for a whole tree; taken away again; over a connection that was lost. */
final class WatchCases {
    private static final List<ACL> OPEN = Ids.OPEN_ACL_UNSAFE;
    private final Servers servers;

    WatchCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("watches_fire_once", this::once);
        servers.add("persistent_watches_fire_for_the_znode_and_its_children", this::persistent);
        servers.add("recursive_watches_fire_for_the_whole_tree", this::recursive);
        servers.add("a_multi_fires_in_the_order_of_its_parts", this::multi);
        servers.add("watches_are_removed", this::removed);
        servers.add("watches_that_are_not_there_cannot_be_removed", this::notThere);
        servers.add("watches_are_set_again_on_a_new_connection", this::reconnect);
        servers.add("what_changed_meanwhile_fires_on_the_new_connection", this::changedMeanwhile);
        servers.add("events_come_before_what_they_tell_of_is_read", this::order);
    }

    private void once(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Events data = new Events();
        Events children = new Events();
        Events existence = new Events();
        client.getData(path, data, null);
        client.getChildren(path, children);
        client.exists(path + "/a", existence);
        client.setData(path, bytes("1"), -1);
        client.setData(path, bytes("2"), -1);
        client.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        client.create(path + "/b", null, OPEN, CreateMode.PERSISTENT);
        client.delete(path + "/a", -1);
        client.sync(path);
        data.expect("NodeDataChanged " + path);
        children.expect("NodeChildrenChanged " + path);
        existence.expect("NodeCreated " + path + "/a");
    }

    private void persistent(Clients clients, String path) throws Exception {
        ZooKeeper client = clients.start();
        Events events = new Events();
        client.addWatch(path, events, AddWatchMode.PERSISTENT);
        created(client, path);
        client.setData(path, bytes("1"), -1);
        client.setData(path, bytes("2"), -1);
        client.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        client.setData(path + "/a", bytes("of a child"), -1);
        client.create(path + "/a/b", null, OPEN, CreateMode.PERSISTENT);
        client.delete(path + "/a/b", -1);
        client.delete(path + "/a", -1);
        client.delete(path, -1);
        created(client, path);
        events.expect(
                "NodeCreated " + path, "NodeDataChanged " + path, "NodeDataChanged " + path,
                "NodeChildrenChanged " + path, "NodeChildrenChanged " + path, "NodeDeleted " + path,
                "NodeCreated " + path);
    }

    private void recursive(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Events events = new Events();
        client.addWatch(path, events, AddWatchMode.PERSISTENT_RECURSIVE);
        client.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        client.create(path + "/a/b", null, OPEN, CreateMode.PERSISTENT);
        client.create(path + "/a/b/c", null, OPEN, CreateMode.EPHEMERAL);
        client.setData(path + "/a/b", bytes("x"), -1);
        client.setData(path, bytes("x"), -1);
        client.delete(path + "/a/b/c", -1);
        client.delete(path + "/a/b", -1);
        // There is no event of children: each znode tells of itself.
        events.expect(
                "NodeCreated " + path + "/a", "NodeCreated " + path + "/a/b", "NodeCreated " + path + "/a/b/c",
                "NodeDataChanged " + path + "/a/b", "NodeDataChanged " + path, "NodeDeleted " + path + "/a/b/c",
                "NodeDeleted " + path + "/a/b");
    }

    private void multi(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Events events = new Events();
        client.addWatch(path, events, AddWatchMode.PERSISTENT_RECURSIVE);
        client.multi(List.of(
                Op.create(path + "/z", null, OPEN, CreateMode.PERSISTENT),
                Op.create(path + "/a", null, OPEN, CreateMode.PERSISTENT),
                Op.setData(path + "/z", bytes("x"), -1),
                Op.delete(path + "/a", -1)));
        events.expect(
                "NodeCreated " + path + "/z", "NodeCreated " + path + "/a", "NodeDataChanged " + path + "/z",
                "NodeDeleted " + path + "/a");
    }

    private void removed(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(servers.addresses.get(0)), path);
        Events data = new Events();
        Events children = new Events();
        Events persistent = new Events();
        Events kept = new Events();
        client.getData(path, data, null);
        client.getChildren(path, children);
        client.addWatch(path, persistent, AddWatchMode.PERSISTENT);
        client.addWatch(path, kept, AddWatchMode.PERSISTENT_RECURSIVE);
        client.removeWatches(path, data, WatcherType.Data, false);
        client.removeWatches(path, children, WatcherType.Children, false);
        client.removeWatches(path, persistent, WatcherType.Any, false);
        data.expect("DataWatchRemoved " + path);
        children.expect("ChildWatchRemoved " + path);
        persistent.expect("PersistentWatchRemoved " + path);
        client.setData(path, bytes("x"), -1);
        client.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        kept.expect("NodeDataChanged " + path, "NodeCreated " + path + "/a");
        checkEqual(data.seen().size() + children.seen().size() + persistent.seen().size(), 3, "events of removed watches");
        check(servers.fourLetters(0, "wchp").contains(path + "\n"), "the server knows of the watch that is left");
        client.removeAllWatches(path, WatcherType.Any, false);
        check(!servers.fourLetters(0, "wchp").contains(path + "\n"), "the server knows of no watch any more");
    }

    private void notThere(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Events events = new Events();
        client.getChildren(path, events);
        for (WatcherType type : List.of(WatcherType.Data, WatcherType.Any)) {
            try {
                client.removeWatches(path, type == WatcherType.Any ? new Events() : events, type, false);
                throw new AssertionError("a watch was removed that is not there");
            } catch (KeeperException.NoWatcherException expected) {
                // Any watcher but the one of children is unknown.
            }
        }
        client.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        events.expect("NodeChildrenChanged " + path);
    }

    private void reconnect(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        Events session = new Events();
        ZooKeeper client = clients.start(proxy.address(), Servers.SESSION_MS, session);
        ZooKeeper other = created(clients.start(), path);
        client.sync(path);
        Events data = new Events();
        Events children = new Events();
        Events missing = new Events();
        Events persistent = new Events();
        Events recursive = new Events();
        client.getData(path, data, null);
        client.getChildren(path, children);
        client.exists(path + "/a", missing);
        client.addWatch(path, persistent, AddWatchMode.PERSISTENT);
        client.addWatch(path, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        long id = client.getSessionId();
        proxy.cut();
        eventually(() -> session.states().size() >= 3, () -> "the client connects again, states " + session.states());
        client.sync(path);
        checkEqual(client.getSessionId(), id, "the session");
        other.setData(path, bytes("x"), -1);
        other.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        data.expect("NodeDataChanged " + path);
        children.expect("NodeChildrenChanged " + path);
        missing.expect("NodeCreated " + path + "/a");
        persistent.expect("NodeDataChanged " + path, "NodeChildrenChanged " + path);
        recursive.expect("NodeDataChanged " + path, "NodeCreated " + path + "/a");
    }

    private void changedMeanwhile(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        Events session = new Events();
        ZooKeeper client = clients.start(proxy.address(), Servers.SESSION_MS, session);
        ZooKeeper other = created(clients.start(), path);
        other.create(path + "/gone", null, OPEN, CreateMode.PERSISTENT);
        other.create(path + "/still", null, OPEN, CreateMode.PERSISTENT);
        client.sync(path);
        Events data = new Events();
        Events children = new Events();
        Events missing = new Events();
        Events gone = new Events();
        Events still = new Events();
        client.getData(path, data, null);
        client.getChildren(path, children);
        client.exists(path + "/a", missing);
        client.getData(path + "/gone", gone, null);
        client.getData(path + "/still", still, null);
        proxy.refuse(true);
        other.setData(path, bytes("x"), -1);
        other.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        other.delete(path + "/gone", -1);
        // The server that the client comes back to has all of it.
        ZooKeeper there = clients.ofServer(0);
        there.sync(path);
        proxy.refuse(false);
        data.expect("NodeDataChanged " + path);
        children.expect("NodeChildrenChanged " + path);
        missing.expect("NodeCreated " + path + "/a");
        gone.expect("NodeDeleted " + path + "/gone");
        checkEqual(still.seen(), List.of(), "events of what did not change");
    }

    /** In the thread that gets both: an event is handed on before the answer that shows what it tells of. */
    private void order(Clients clients, String path) throws Exception {
        ZooKeeper writer = created(clients.start(), path);
        ZooKeeper reader = clients.start();
        reader.sync(path);
        for (int round = 0; round < 20; round++) {
            String next = "" + round;
            List<String> order = new ArrayList<>();
            reader.getData(path, event -> record(order, "event"), null);
            writer.setData(path, bytes(next), -1, (code, at, context, stat) -> {}, null);
            boolean[] seen = new boolean[1];
            while (!seen[0]) {
                Object wait = new Object();
                boolean[] answered = new boolean[1];
                reader.getData(path, false, (code, at, context, data, stat) -> {
                    if (next.equals(Servers.text(data))) {
                        record(order, "data");
                        seen[0] = true;
                    }
                    synchronized (wait) {
                        answered[0] = true;
                        wait.notifyAll();
                    }
                }, null);
                synchronized (wait) {
                    while (!answered[0]) {
                        wait.wait();
                    }
                }
            }
            synchronized (order) {
                checkEqual(order, List.of("event", "data"), "the order in round " + round);
            }
        }
    }

    private static void record(List<String> order, String what) {
        synchronized (order) {
            order.add(what);
        }
    }
}
