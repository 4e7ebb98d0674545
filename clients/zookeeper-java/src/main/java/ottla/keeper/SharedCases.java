package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.text;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorOp;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** What Curator's processes share: queues, counters, znodes that stay, groups; and its own ways to write. */
final class SharedCases {
    private final Servers servers;

    SharedCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("a_queue_gives_each_item_once", this::queue);
        servers.add("a_queue_that_locks_gives_back_what_failed", this::lockingQueue);
        servers.add("queues_by_priority_and_by_time", this::orderedQueues);
        servers.add("a_shared_count_is_seen_by_all", this::sharedCount);
        servers.add("an_atomic_long_loses_no_increment", this::atomicLong);
        servers.add("a_persistent_node_comes_back", this::persistentNode);
        servers.add("a_ttl_node_stays_as_long_as_it_is_touched", this::ttlNode);
        servers.add("a_group_knows_its_members", this::group);
        servers.add("transactions_and_protected_names", this::writes);
        servers.add("the_asynchronous_interface", this::asynchronous);
    }

    private CuratorFramework client(Clients clients) throws Exception {
        return LockCases.client(servers, clients);
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        @Override
        public byte[] serialize(String item) {
            return bytes(item);
        }

        @Override
        public String deserialize(byte[] data) {
            return text(data);
        }
    };

    private interface Take {
        void take(String item) throws Exception;
    }

    private static QueueConsumer<String> consumer(Take take) {
        return new QueueConsumer<>() {
            @Override
            public void consumeMessage(String item) throws Exception {
                take.take(item);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        };
    }

    private void queue(Clients clients, String path) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        for (int number = 0; number < 2; number++) {
            DistributedQueue<String> consuming =
                    QueueBuilder.builder(client(clients), consumer(taken::add), TEXT, path).buildQueue();
            consuming.start();
            clients.keep(consuming);
        }
        DistributedQueue<String> queue = QueueBuilder.builder(client(clients), null, TEXT, path).buildQueue();
        queue.start();
        clients.keep(queue);
        List<String> expected = new ArrayList<>();
        for (int number = 100; number < 200; number++) {
            queue.put("item " + number);
            expected.add("item " + number);
        }
        check(queue.flushPuts(30, TimeUnit.SECONDS), "all is put");
        eventually(() -> taken.size() >= expected.size(), () -> "all is taken, not " + taken.size());
        List<String> sorted = new ArrayList<>(taken);
        Collections.sort(sorted);
        checkEqual(sorted, expected, "what was taken");
    }

    private void lockingQueue(Clients clients, String path) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        DistributedQueue<String> queue = QueueBuilder.builder(client(clients), consumer(item -> {
            taken.add(item);
            if (Collections.frequency(taken, item) == 1) {
                throw new IllegalStateException("the first time it fails");
            }
        }), TEXT, path).lockPath(path + "-locks").buildQueue();
        queue.start();
        clients.keep(queue);
        queue.put("a");
        eventually(() -> Collections.frequency(taken, "a") == 2, () -> "the item comes again, not " + taken);
        CuratorFramework client = client(clients);
        eventually(() -> children(client, path).isEmpty(), () -> "the queue is empty, not " + children(client, path));
    }

    private static List<String> children(CuratorFramework client, String path) {
        try {
            return client.getChildren().forPath(path);
        } catch (Exception error) {
            return List.of(error.toString());
        }
    }

    private void orderedQueues(Clients clients, String path) throws Exception {
        CuratorFramework client = client(clients);
        DistributedPriorityQueue<String> filling =
                QueueBuilder.builder(client, null, TEXT, path).buildPriorityQueue(0);
        filling.start();
        clients.keep(filling);
        filling.put("late", 30);
        filling.put("middle", 20);
        filling.put("early", 10);
        check(filling.flushPuts(20, TimeUnit.SECONDS), "all is put");
        List<String> taken = new CopyOnWriteArrayList<>();
        DistributedPriorityQueue<String> emptying =
                QueueBuilder.builder(client, consumer(taken::add), TEXT, path).buildPriorityQueue(0);
        emptying.start();
        clients.keep(emptying);
        eventually(() -> taken.size() == 3, () -> "all is taken, not " + taken);
        checkEqual(taken, List.of("early", "middle", "late"), "the order");

        List<String> delayed = new CopyOnWriteArrayList<>();
        DistributedDelayQueue<String> delays =
                QueueBuilder.builder(client, consumer(delayed::add), TEXT, path + "-delay").buildDelayQueue();
        delays.start();
        clients.keep(delays);
        long now = System.currentTimeMillis();
        delays.put("second", now + 2500);
        delays.put("first", now + 1000);
        eventually(() -> delayed.size() == 2, () -> "all is taken, not " + delayed);
        check(System.currentTimeMillis() - now >= 2400, "not before its time");
        checkEqual(delayed, List.of("first", "second"), "the order");
    }

    private void sharedCount(Clients clients, String path) throws Exception {
        SharedCount one = new SharedCount(client(clients), path, 5);
        SharedCount two = new SharedCount(client(clients), path, 5);
        List<Integer> seen = new CopyOnWriteArrayList<>();
        two.addListener(new SharedCountListener() {
            @Override
            public void countHasChanged(SharedCountReader count, int now) {
                seen.add(now);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        });
        one.start();
        two.start();
        clients.keep(one);
        clients.keep(two);
        checkEqual(one.getCount(), 5, "the count at the beginning");
        one.setCount(6);
        eventually(() -> two.getCount() == 6 && seen.contains(6), () -> "the other one sees it, not " + seen);
        var old = two.getVersionedValue();
        one.setCount(7);
        eventually(() -> two.getCount() == 7, () -> "the next count, not " + two.getCount());
        check(!two.trySetCount(old, 99), "a count that changed meanwhile is not set");
        check(two.trySetCount(two.getVersionedValue(), 8), "one that did not is");
    }

    private void atomicLong(Clients clients, String path) throws Exception {
        List<Callable<Void>> workers = new ArrayList<>();
        for (int number = 0; number < 4; number++) {
            DistributedAtomicLong value =
                    new DistributedAtomicLong(client(clients), path, new RetryNTimes(200, 5));
            workers.add(() -> {
                for (int turn = 0; turn < 25; turn++) {
                    AtomicValue<Long> changed = value.add(3L);
                    check(changed.succeeded(), "an increment");
                    checkEqual(changed.postValue(), changed.preValue() + 3, "its step");
                }
                return null;
            });
        }
        LockCases.together(workers);
        CuratorFramework client = client(clients);
        client.sync().forPath(path);
        DistributedAtomicLong value = new DistributedAtomicLong(client, path, new RetryNTimes(10, 10));
        checkEqual(value.get().postValue(), 300L, "the sum");
        check(!value.compareAndSet(1L, 2L).succeeded(), "a wrong guess");
    }

    private void persistentNode(Clients clients, String path) throws Exception {
        CuratorFramework owner = client(clients);
        CuratorFramework other = client(clients);
        PersistentNode node = new PersistentNode(owner, CreateMode.EPHEMERAL, false, path, bytes("here"));
        node.start();
        check(node.waitForInitialCreate(20, TimeUnit.SECONDS), "the znode is made");
        other.sync().forPath(path);
        long first = other.checkExists().forPath(path).getCzxid();
        other.delete().forPath(path);
        eventually(() -> {
            Stat stat = stat(other, path);
            return stat != null && stat.getCzxid() > first;
        }, () -> "the znode comes back");
        node.setData(bytes("changed"));
        eventually(() -> "changed".equals(data(other, path)), () -> "its data, not " + data(other, path));
        node.close();
        eventually(() -> stat(other, path) == null, () -> "it goes when it is given up");
    }

    private static Stat stat(CuratorFramework client, String path) {
        try {
            return client.checkExists().forPath(path);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static String data(CuratorFramework client, String path) {
        try {
            return text(client.getData().forPath(path));
        } catch (Exception error) {
            return error.toString();
        }
    }

    private void ttlNode(Clients clients, String path) throws Exception {
        CuratorFramework client = client(clients);
        PersistentTtlNode node = new PersistentTtlNode(client, path, 1500, bytes("x"));
        node.start();
        check(node.waitForInitialCreate(20, TimeUnit.SECONDS), "the znode is made");
        Thread.sleep(4000);
        check(stat(client, path) != null, "it is there as long as its owner is");
        node.close();
        eventually(() -> stat(client, path) == null, () -> "it goes when its owner is gone");
    }

    private void group(Clients clients, String path) throws Exception {
        List<GroupMember> members = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            GroupMember member = new GroupMember(client(clients), path, "member " + number, bytes("" + number));
            member.start();
            members.add(member);
        }
        // Each member has a cache of its own, and fills it in its own time.
        for (GroupMember member : members) {
            eventually(() -> member.getCurrentMembers().size() == 3, () -> "three members");
            checkEqual(text(member.getCurrentMembers().get("member 1")), "1", "what a member says of itself");
        }
        members.get(1).close();
        eventually(() -> members.get(0).getCurrentMembers().size() == 2, () -> "two members");
        members.get(0).close();
        members.get(2).close();
    }

    private void writes(Clients clients, String path) throws Exception {
        CuratorFramework client = client(clients);
        client.create().creatingParentContainersIfNeeded().forPath(path + "/a/b", bytes("x"));
        CuratorOp check = client.transactionOp().check().withVersion(0).forPath(path + "/a/b");
        CuratorOp create = client.transactionOp().create().forPath(path + "/a/c", bytes("y"));
        CuratorOp set = client.transactionOp().setData().forPath(path + "/a/b", bytes("z"));
        checkEqual(client.transaction().forOperations(check, create, set).size(), 3, "outcomes");
        checkEqual(text(client.getData().forPath(path + "/a/b")), "z", "the data");
        String name = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(path + "/a/p-");
        check(name.matches(".*/_c_[-0-9a-f]{36}-p-[0-9]{10}"), "a protected name " + name);
        client.create().orSetData().forPath(path + "/a/c", bytes("set"));
        checkEqual(text(client.getData().forPath(path + "/a/c")), "set", "what was there is set");
        checkEqual(client.create().idempotent().forPath(path + "/i", bytes("i")), path + "/i", "the path");
        checkEqual(client.create().idempotent().forPath(path + "/i", bytes("i")), path + "/i", "the path once more");
        CuratorFramework inside = client.usingNamespace(path.substring(1));
        checkEqual(text(inside.getData().forPath("/a/c")), "set", "what is read in a namespace");
        client.delete().guaranteed().deletingChildrenIfNeeded().forPath(path);
        checkEqual(stat(client, path), null, "what is deleted as a tree");
    }

    private void asynchronous(Clients clients, String path) throws Exception {
        AsyncCuratorFramework client = AsyncCuratorFramework.wrap(client(clients));
        String made = client.create().forPath(path, bytes("x"))
                .thenCompose(name -> client.setData().forPath(name, bytes("y")))
                .thenCompose(stat -> client.getData().forPath(path))
                .thenApply(Servers::text)
                .toCompletableFuture().get(30, TimeUnit.SECONDS);
        checkEqual(made, "y", "what is read in the end");
        var watched = client.watched().checkExists().forPath(path);
        watched.toCompletableFuture().get(30, TimeUnit.SECONDS);
        client.delete().forPath(path).toCompletableFuture().get(30, TimeUnit.SECONDS);
        var event = watched.event().toCompletableFuture().get(30, TimeUnit.SECONDS);
        checkEqual(event.getType() + " " + event.getPath(), "NodeDeleted " + path, "the event");
        Throwable[] failure = new Throwable[1];
        client.getData().forPath(path).exceptionally(error -> {
            failure[0] = error;
            return null;
        }).toCompletableFuture().get(30, TimeUnit.SECONDS);
        check(("" + failure[0]).contains("NoNode"), "the failure " + failure[0]);
    }
}
