package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.created;
import static ottla.keeper.Servers.refused;
import static ottla.keeper.Servers.text;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** Every operation on znodes that ZooKeeper's client has. */
final class NodeCases {
    private static final List<ACL> OPEN = Ids.OPEN_ACL_UNSAFE;
    private final Servers servers;

    NodeCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("create_answers_the_path_and_the_stat", this::create);
        servers.add("every_mode_of_create_makes_what_it_names", this::modes);
        servers.add("containers_go_when_their_last_child_is_gone", this::containers);
        servers.add("nodes_with_a_time_to_live_go_after_it", this::timeToLive);
        servers.add("times_to_live_have_bounds", this::timeToLiveBounds);
        servers.add("data_and_versions", this::data);
        servers.add("children_and_their_number", this::children);
        servers.add("ephemerals_of_a_session_are_listed", this::ephemerals);
        servers.add("acls_are_read_and_set", this::acls);
        servers.add("a_multi_answers_each_part", this::multi);
        servers.add("a_multi_that_fails_tells_which_part", this::failingMulti);
        servers.add("a_multi_makes_containers_and_nodes_with_a_time_to_live", this::multiModes);
        servers.add("a_multi_of_reads_answers_each_by_itself", this::multiRead);
        servers.add("asynchronous_answers_come_in_order", this::asynchronous);
        servers.add("each_asynchronous_call_is_answered_with_its_context", this::contexts);
        servers.add("sync_brings_a_reader_up_to_date", this::sync);
        servers.add("quotas_are_enforced_where_they_are_hard", this::quota);
        servers.add("a_chroot_is_not_seen_from_inside", this::chroot);
    }

    private void create(Clients clients, String path) throws Exception {
        ZooKeeper client = clients.start();
        Stat stat = new Stat();
        checkEqual(client.create(path, bytes("data"), OPEN, CreateMode.PERSISTENT, stat), path, "the path");
        checkEqual(client.exists(path, false), stat, "the stat that create answered");
        checkEqual(stat.getDataLength(), 4, "the length of the data");
        check(client.create(path + "/null", null, OPEN, CreateMode.PERSISTENT) != null, "a znode without data");
        checkEqual(client.getData(path + "/null", false, null), null, "data that is none");
        refused(Code.NODEEXISTS, () -> client.create(path, null, OPEN, CreateMode.PERSISTENT));
        refused(Code.NONODE, () -> client.create(path + "/a/b", null, OPEN, CreateMode.PERSISTENT));
        refused(Code.INVALIDACL, () -> client.create(path + "/x", null, List.of(), CreateMode.PERSISTENT));
    }

    private void modes(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        long session = client.getSessionId();
        String digits = "[0-9]{10}";
        for (CreateMode mode : CreateMode.values()) {
            Stat stat = new Stat();
            String asked = path + "/" + mode + "-";
            String made = mode.isTTL()
                    ? client.create(asked, bytes("x"), OPEN, mode, stat, 600_000)
                    : client.create(asked, bytes("x"), OPEN, mode, stat);
            boolean asNamed = made.equals(asked) || mode.isSequential() && made.substring(asked.length()).matches(digits);
            check(asNamed, mode + " was named " + made);
            checkEqual(client.exists(made, false), stat, "the stat of " + mode);
            if (mode.isEphemeral()) {
                checkEqual(stat.getEphemeralOwner(), session, "the owner of " + mode);
                refused(Code.NOCHILDRENFOREPHEMERALS, () -> client.create(made + "/c", null, OPEN, CreateMode.PERSISTENT));
            } else {
                // What is kept for containers and times to live in this place is not shown.
                checkEqual(stat.getEphemeralOwner(), 0L, "the owner of " + mode);
                client.create(made + "/c", null, OPEN, CreateMode.PERSISTENT);
            }
        }
        checkEqual(client.getChildren(path, false).size(), CreateMode.values().length, "children");
    }

    private void containers(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        String container = path + "/container";
        client.create(container, null, OPEN, CreateMode.CONTAINER);
        client.create(container + "/a", null, OPEN, CreateMode.PERSISTENT);
        client.create(container + "/b", null, OPEN, CreateMode.EPHEMERAL);
        Events events = new Events();
        client.exists(container, events);
        client.delete(container + "/a", -1);
        Thread.sleep(1000);
        check(client.exists(container, false) != null, "a container that has a child");
        client.delete(container + "/b", -1);
        events.expect("NodeDeleted " + container);
        String unused = path + "/unused";
        client.create(unused, null, OPEN, CreateMode.CONTAINER);
        Thread.sleep(1500);
        check(client.exists(unused, false) != null, "a container that never had a child");
    }

    private void timeToLive(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        client.create(path + "/short", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, null, 500);
        client.create(path + "/parent", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, null, 500);
        client.create(path + "/parent/child", null, OPEN, CreateMode.PERSISTENT);
        client.create(path + "/touched", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, null, 3000);
        String name = client.create(path + "/s-", null, OPEN, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 500);
        eventually(() -> gone(client, path + "/short"), () -> "a znode that lives for half a second goes");
        eventually(() -> gone(client, name), () -> "a sequential one goes");
        for (int turn = 0; turn < 8; turn++) {
            Thread.sleep(700);
            client.setData(path + "/touched", bytes("" + turn), -1);
        }
        check(client.exists(path + "/parent", false) != null, "one that has a child stays");
        eventually(() -> gone(client, path + "/touched"), () -> "one that is not changed any more goes");
        client.delete(path + "/parent/child", -1);
        eventually(() -> gone(client, path + "/parent"), () -> "one without children goes");
    }

    private static boolean gone(ZooKeeper client, String path) {
        try {
            return client.exists(path, false) == null;
        } catch (KeeperException | InterruptedException error) {
            return false;
        }
    }

    private void timeToLiveBounds(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        long most = 0xFF_FFFF_FFFFL;
        client.create(path + "/most", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, null, most);
        for (long ttl : new long[] {0, -1, most + 1}) {
            try {
                client.create(path + "/bad", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, null, ttl);
                throw new AssertionError("a time to live of " + ttl + " was taken");
            } catch (IllegalArgumentException refused) {
                // The client itself looks at it.
            } catch (KeeperException error) {
                checkEqual(error.code(), Code.BADARGUMENTS, "the error of a time to live of " + ttl);
            }
        }
    }

    private void data(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Stat set = client.setData(path, bytes("one"), 0);
        checkEqual(set.getVersion(), 1, "the version");
        Stat read = new Stat();
        checkEqual(text(client.getData(path, false, read)), "one", "the data");
        checkEqual(read, set, "the stat of the read");
        refused(Code.BADVERSION, () -> client.setData(path, bytes("two"), 0));
        refused(Code.BADVERSION, () -> client.delete(path, 0));
        refused(Code.NONODE, () -> client.setData(path + "/none", bytes(""), -1));
        refused(Code.NONODE, () -> client.getData(path + "/none", false, null));
        refused(Code.NONODE, () -> client.delete(path + "/none", -1));
        checkEqual(client.exists(path + "/none", false), null, "what is not there");
        client.create(path + "/child", null, OPEN, CreateMode.PERSISTENT);
        refused(Code.NOTEMPTY, () -> client.delete(path, -1));
        client.delete(path + "/child", 0);
        client.delete(path, 1);
    }

    private void children(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        for (String name : List.of("a", "b", "b/c", "b/c/d")) {
            client.create(path + "/" + name, null, OPEN, CreateMode.PERSISTENT);
        }
        List<String> names = client.getChildren(path, false);
        Collections.sort(names);
        checkEqual(names, List.of("a", "b"), "children");
        Stat stat = new Stat();
        client.getChildren(path, false, stat);
        checkEqual(stat, client.exists(path, false), "the stat beside the children");
        checkEqual(client.getAllChildrenNumber(path), 4, "the number of all below");
        checkEqual(client.getAllChildrenNumber(path + "/a"), 0, "the number below a leaf");
        refused(Code.NONODE, () -> client.getChildren(path + "/none", false));
        check(client.getAllChildrenNumber("/") >= 8, "the number of all below the root");
    }

    private void ephemerals(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        ZooKeeper other = clients.start();
        other.sync(path);
        List<String> mine = new ArrayList<>();
        for (int number = 0; number < 5; number++) {
            mine.add(client.create(path + "/mine-" + number, null, OPEN, CreateMode.EPHEMERAL));
            other.create(path + "/other-" + number, null, OPEN, CreateMode.EPHEMERAL);
        }
        List<String> listed = client.getEphemerals();
        Collections.sort(listed);
        checkEqual(listed, mine, "all ephemerals of the session");
        checkEqual(client.getEphemerals(path + "/mine-3"), List.of(path + "/mine-3"), "those below a prefix");
        checkEqual(client.getEphemerals(path + "/other"), List.of(), "those of another session are not listed");
        other.close();
        client.sync(path);
        checkEqual(client.getChildren(path, false).size(), 5, "children when the other session is closed");
    }

    private void acls(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Stat stat = new Stat();
        checkEqual(client.getACL(path, stat), OPEN, "the ACL of a new znode");
        checkEqual(stat, client.exists(path, false), "the stat beside it");
        Stat set = client.setACL(path, Ids.READ_ACL_UNSAFE, 0);
        checkEqual(set.getAversion(), 1, "the version of the ACL");
        checkEqual(client.getACL(path, null), Ids.READ_ACL_UNSAFE, "the ACL that was set");
        refused(Code.NOAUTH, () -> client.setData(path, bytes("x"), -1));
        refused(Code.NOAUTH, () -> client.setACL(path, OPEN, 1));
        refused(Code.NONODE, () -> client.getACL(path + "/none", null));
    }

    private void multi(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        List<OpResult> results = client.multi(List.of(
                Op.check(path, 0),
                Op.create(path + "/a", bytes("1"), OPEN, CreateMode.PERSISTENT),
                Op.setData(path + "/a", bytes("22"), 0),
                Op.create(path + "/s-", null, OPEN, CreateMode.EPHEMERAL_SEQUENTIAL),
                Op.create(path + "/b", null, OPEN, CreateMode.PERSISTENT),
                Op.delete(path + "/b", 0)));
        check(results.get(0) instanceof OpResult.CheckResult, "the check's outcome " + results.get(0));
        checkEqual(((OpResult.CreateResult) results.get(1)).getPath(), path + "/a", "what was created");
        checkEqual(((OpResult.SetDataResult) results.get(2)).getStat().getVersion(), 1, "the version of the set");
        checkEqual(((OpResult.CreateResult) results.get(3)).getPath(), path + "/s-0000000001", "the sequential name");
        check(results.get(5) instanceof OpResult.DeleteResult, "the delete's outcome " + results.get(5));
        Stat stat = client.exists(path + "/a", false);
        checkEqual(stat.getMzxid(), stat.getCzxid(), "one zxid for all");
        checkEqual(client.multi(List.of()), List.of(), "a multi of nothing");
        var committed = client.transaction().setData(path, bytes("t"), 0).delete(path + "/a", 1).commit();
        checkEqual(committed.size(), 2, "outcomes of a transaction");
    }

    private void failingMulti(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        Stat before = client.exists(path, false);
        try {
            client.multi(List.of(
                    Op.setData(path, bytes("x"), 0),
                    Op.create(path + "/a", null, OPEN, CreateMode.PERSISTENT),
                    Op.check(path, 7),
                    Op.delete(path + "/a", -1)));
            throw new AssertionError("a multi with a wrong check went through");
        } catch (KeeperException error) {
            checkEqual(error.code(), Code.BADVERSION, "the error");
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : error.getResults()) {
                codes.add(((OpResult.ErrorResult) result).getErr());
            }
            int badVersion = Code.BADVERSION.intValue();
            int inconsistent = Code.RUNTIMEINCONSISTENCY.intValue();
            checkEqual(codes, List.of(0, 0, badVersion, inconsistent), "the outcome of each part");
        }
        checkEqual(client.exists(path, false), before, "nothing was changed");
    }

    private void multiModes(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        client.multi(List.of(
                Op.create(path + "/container", null, OPEN, CreateMode.CONTAINER),
                Op.create(path + "/container/child", null, OPEN, CreateMode.PERSISTENT),
                Op.create(path + "/ttl", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, 500)));
        eventually(() -> gone(client, path + "/ttl"), () -> "the znode with a time to live goes");
        client.delete(path + "/container/child", -1);
        eventually(() -> gone(client, path + "/container"), () -> "the container goes");
    }

    private void multiRead(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        client.setData(path, bytes("data"), -1);
        client.create(path + "/a", null, OPEN, CreateMode.PERSISTENT);
        List<OpResult> results = client.multi(List.of(
                Op.getData(path), Op.getChildren(path), Op.getData(path + "/none"), Op.getChildren(path + "/a")));
        OpResult.GetDataResult data = (OpResult.GetDataResult) results.get(0);
        checkEqual(text(data.getData()), "data", "the data");
        checkEqual(data.getStat(), client.exists(path, false), "the stat");
        checkEqual(((OpResult.GetChildrenResult) results.get(1)).getChildren(), List.of("a"), "the children");
        int error = ((OpResult.ErrorResult) results.get(2)).getErr();
        checkEqual(error, Code.NONODE.intValue(), "the error of what is not there");
        checkEqual(((OpResult.GetChildrenResult) results.get(3)).getChildren(), List.of(), "the other parts are answered");
    }

    private void asynchronous(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        int count = 2000;
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        List<String> expected = new ArrayList<>();
        CountDownLatch done = new CountDownLatch(count * 2);
        for (int number = 0; number < count; number++) {
            String value = "" + number;
            int version = number + 1;
            client.setData(path, bytes(value), -1, (code, at, context, stat) -> {
                order.add("set " + context + (code == 0 && stat.getVersion() == version ? "" : " failed " + code));
                done.countDown();
            }, value);
            client.getData(path, false, (code, at, context, data, stat) -> {
                order.add("get " + text(data));
                done.countDown();
            }, value);
            expected.add("set " + value);
            expected.add("get " + value);
        }
        check(done.await(90, TimeUnit.SECONDS), "all are answered");
        checkEqual(order, expected, "the order of the answers, and what was read");
    }

    private void contexts(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        List<String> answers = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch done = new CountDownLatch(12);
        String child = path + "/c";
        client.create(child, bytes("x"), OPEN, CreateMode.PERSISTENT,
                (code, at, context, name) -> answer(answers, done, "create", code, name), null);
        client.create(path + "/d", null, OPEN, CreateMode.PERSISTENT,
                (code, at, context, name, stat) -> answer(answers, done, "create2", code, name), null);
        client.exists(child, false, (code, at, context, stat) -> answer(answers, done, "exists", code, at), null);
        client.getACL(child, null, (code, at, context, acl, stat) -> answer(answers, done, "getACL", code, at), null);
        client.setACL(child, OPEN, 0, (code, at, context, stat) -> answer(answers, done, "setACL", code, at), null);
        client.getChildren(path, false,
                (int code, String at, Object context, List<String> names) ->
                        answer(answers, done, "children", code, "" + names.size()), null);
        client.getAllChildrenNumber(path,
                (code, at, context, number) -> answer(answers, done, "number", code, "" + number), null);
        client.getEphemerals(path, (code, context, paths) -> answer(answers, done, "ephemerals", code, "" + paths), null);
        client.sync(path, (code, at, context) -> answer(answers, done, "sync", code, at), null);
        client.multi(List.of(Op.check(path, 0)),
                (code, at, context, results) -> answer(answers, done, "multi", code, "" + results.size()), null);
        client.delete(child, 0, (code, at, context) -> answer(answers, done, "delete", code, at), null);
        client.delete(child, 0, (code, at, context) -> answer(answers, done, "again", code, at), null);
        check(done.await(30, TimeUnit.SECONDS), "all are answered");
        checkEqual(answers, List.of(
                "create 0 " + child, "create2 0 " + path + "/d", "exists 0 " + child, "getACL 0 " + child,
                "setACL 0 " + child, "children 0 2", "number 0 2", "ephemerals 0 []", "sync 0 " + path, "multi 0 1",
                "delete 0 " + child, "again -101 " + child), "answers");
    }

    private static void answer(List<String> answers, CountDownLatch done, String what, int code, String value) {
        answers.add(what + " " + code + " " + value);
        done.countDown();
    }

    private void sync(Clients clients, String path) throws Exception {
        ZooKeeper writer = created(clients.start(), path);
        ZooKeeper reader = clients.start();
        for (int number = 0; number < 50; number++) {
            writer.setData(path, bytes("" + number), -1);
            reader.sync(path);
            checkEqual(text(reader.getData(path, false, null)), "" + number, "what is read after a sync");
        }
    }

    private void quota(Clients clients, String path) throws Exception {
        ZooKeeper client = created(clients.start(), path);
        String limits = "/zookeeper/quota" + path;
        client.create(limits, null, OPEN, CreateMode.PERSISTENT);
        client.create(limits + "/zookeeper_limits", bytes("count=-1,bytes=-1,byteHardLimit=100,countHardLimit=3"),
                OPEN, CreateMode.PERSISTENT);
        client.create(limits + "/zookeeper_stats", bytes("count=0,bytes=0"), OPEN, CreateMode.PERSISTENT);
        client.create(path + "/a", bytes("x".repeat(40)), OPEN, CreateMode.PERSISTENT);
        refused(Code.QUOTAEXCEEDED, () -> client.create(path + "/b", bytes("x".repeat(70)), OPEN, CreateMode.PERSISTENT));
        refused(Code.QUOTAEXCEEDED, () -> client.setData(path + "/a", bytes("x".repeat(101)), -1));
        client.setData(path + "/a", bytes("x".repeat(90)), -1);
        client.create(path + "/b", null, OPEN, CreateMode.PERSISTENT);
        refused(Code.QUOTAEXCEEDED, () -> client.create(path + "/c", null, OPEN, CreateMode.PERSISTENT));
        String stats = text(client.getData(limits + "/zookeeper_stats", false, null));
        checkEqual(stats, "count=3,bytes=90", "what is counted");
        client.delete(path + "/b", -1);
        checkEqual(text(client.getData(limits + "/zookeeper_stats", false, null)), "count=2,bytes=90", "after a delete");
        for (String name : List.of("/zookeeper_stats", "/zookeeper_limits", "")) {
            client.delete(limits + name, -1);
        }
        client.create(path + "/c", bytes("x".repeat(500)), OPEN, CreateMode.PERSISTENT);
    }

    private void chroot(Clients clients, String path) throws Exception {
        ZooKeeper outside = created(clients.start(), path);
        ZooKeeper inside = clients.start(servers.connect + path);
        checkEqual(inside.create("/a", bytes("x"), OPEN, CreateMode.PERSISTENT), "/a", "the path from inside");
        checkEqual(inside.create("/s-", null, OPEN, CreateMode.EPHEMERAL_SEQUENTIAL), "/s-0000000001", "a sequential one");
        // The client does not take its chroot off these.
        checkEqual(inside.getEphemerals(), List.of(path + "/s-0000000001"), "ephemerals from inside");
        outside.sync(path);
        checkEqual(text(outside.getData(path + "/a", false, null)), "x", "data from outside");
        Events events = new Events();
        inside.getData("/a", events, null);
        outside.setData(path + "/a", bytes("y"), -1);
        events.expect("NodeDataChanged /a");
        OpResult made = inside.multi(List.of(Op.create("/m", null, OPEN, CreateMode.PERSISTENT))).get(0);
        // Nor off what a multi answers.
        checkEqual(((OpResult.CreateResult) made).getPath(), path + "/m", "what a multi answers inside");
    }
}
