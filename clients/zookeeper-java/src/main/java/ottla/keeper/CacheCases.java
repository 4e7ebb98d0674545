package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.text;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.curator.x.async.modeled.JacksonModelSerializer;
import org.apache.curator.x.async.modeled.ModelSpec;
import org.apache.curator.x.async.modeled.ModeledFramework;
import org.apache.curator.x.async.modeled.ZPath;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** Curator's caches, which follow what others change, and the discovery of services on top of them. */
final class CacheCases {
    private final Servers servers;

    CacheCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("a_cache_follows_a_whole_tree", this::curatorCache);
        servers.add("a_cache_of_children", this::childrenCache);
        servers.add("a_cache_of_a_tree_with_one_watch_a_znode", this::treeCache);
        servers.add("a_cache_of_one_znode", this::nodeCache);
        servers.add("a_persistent_watcher_outlives_its_events", this::persistentWatcher);
        servers.add("caches_are_right_when_servers_were_lost", this::lostServer);
        servers.add("services_are_found_and_lost", this::discovery);
        servers.add("a_model_is_written_and_read", this::modeled);
    }

    private CuratorFramework client(Clients clients) throws Exception {
        return LockCases.client(servers, clients);
    }

    private void curatorCache(Clients clients, String path) throws Exception {
        CuratorFramework writer = client(clients);
        writer.create().creatingParentsIfNeeded().forPath(path + "/before", bytes("0"));
        CuratorCache cache = CuratorCache.build(client(clients), path);
        List<String> events = new CopyOnWriteArrayList<>();
        CountDownLatch filled = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(node -> events.add("created " + node.getPath()))
                .forChanges((old, now) -> events.add("changed " + now.getPath() + " to " + text(now.getData())))
                .forDeletes(node -> events.add("deleted " + node.getPath()))
                .forInitialized(filled::countDown)
                .build());
        cache.start();
        clients.keep(cache);
        check(filled.await(30, TimeUnit.SECONDS), "the cache is filled");
        check(cache.get(path + "/before").isPresent(), "what was there before");
        events.clear();
        // A znode that is changed or deleted before the cache has read it leaves fewer events: one step after the other.
        writer.create().forPath(path + "/a", bytes("1"));
        eventually(() -> content(cache, path + "/a").equals("1"), () -> "a new znode is in the cache, events " + events);
        writer.create().forPath(path + "/a/b", bytes("2"));
        eventually(() -> content(cache, path + "/a/b").equals("2"), () -> "one below it, events " + events);
        writer.setData().forPath(path + "/a/b", bytes("3"));
        eventually(() -> content(cache, path + "/a/b").equals("3"), () -> "its new data, events " + events);
        writer.delete().forPath(path + "/a/b");
        List<String> expected = List.of("created " + path + "/a", "created " + path + "/a/b",
                "changed " + path + "/a/b to 3", "deleted " + path + "/a/b");
        // The cache changes before it tells.
        eventually(() -> cache.get(path + "/a/b").isEmpty() && events.size() >= expected.size(),
                () -> "nothing of what is deleted, events " + events);
        checkEqual(events, expected, "events");
        for (int number = 0; number < 200; number++) {
            writer.create().forPath(path + "/a/" + number, bytes("" + number));
        }
        eventually(() -> cache.size() == 203, () -> "all is in the cache, not " + cache.size());
        writer.delete().deletingChildrenIfNeeded().forPath(path + "/a");
        eventually(() -> cache.size() == 2, () -> "what is left in the cache, not " + cache.size());
    }

    private static String content(CuratorCache cache, String path) {
        return cache.get(path).map(node -> text(node.getData())).orElse("");
    }

    private void childrenCache(Clients clients, String path) throws Exception {
        CuratorFramework writer = client(clients);
        writer.create().forPath(path);
        writer.create().forPath(path + "/a", bytes("1"));
        PathChildrenCache cache = new PathChildrenCache(client(clients), path, true);
        List<String> events = new CopyOnWriteArrayList<>();
        cache.getListenable().addListener((client, event) -> {
            if (event.getData() != null) {
                events.add(event.getType() + " " + event.getData().getPath());
            }
        });
        cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
        clients.keep(cache);
        checkEqual(text(cache.getCurrentData(path + "/a").getData()), "1", "data in the cache");
        writer.create().forPath(path + "/b", bytes("2"));
        eventually(() -> events.contains("CHILD_ADDED " + path + "/b"), () -> "events " + events);
        writer.setData().forPath(path + "/b", bytes("3"));
        eventually(() -> events.contains("CHILD_UPDATED " + path + "/b"), () -> "events " + events);
        writer.delete().forPath(path + "/a");
        eventually(() -> events.contains("CHILD_REMOVED " + path + "/a"), () -> "events " + events);
        eventually(() -> cache.getCurrentData().size() == 1, () -> "one child is left");
    }

    private void treeCache(Clients clients, String path) throws Exception {
        CuratorFramework writer = client(clients);
        writer.create().creatingParentsIfNeeded().forPath(path + "/a/b", bytes("1"));
        TreeCache cache = TreeCache.newBuilder(client(clients), path).build();
        cache.start();
        clients.keep(cache);
        eventually(() -> cache.getCurrentData(path + "/a/b") != null, () -> "the tree is in the cache");
        writer.create().creatingParentsIfNeeded().forPath(path + "/c/d/e", bytes("2"));
        eventually(() -> cache.getCurrentData(path + "/c/d/e") != null, () -> "a new branch is in the cache");
        writer.delete().deletingChildrenIfNeeded().forPath(path + "/a");
        eventually(() -> cache.getCurrentData(path + "/a") == null, () -> "a branch that is gone");
        checkEqual(List.copyOf(cache.getCurrentChildren(path).keySet()), List.of("c"), "children in the cache");
    }

    private void nodeCache(Clients clients, String path) throws Exception {
        CuratorFramework writer = client(clients);
        NodeCache cache = new NodeCache(client(clients), path);
        cache.start(true);
        clients.keep(cache);
        checkEqual(cache.getCurrentData(), null, "what is not there yet");
        writer.create().forPath(path, bytes("1"));
        eventually(() -> content(cache).equals("1"), () -> "the data, not " + content(cache));
        writer.setData().forPath(path, bytes("2"));
        eventually(() -> content(cache).equals("2"), () -> "the new data, not " + content(cache));
        writer.delete().forPath(path);
        eventually(() -> content(cache).isEmpty(), () -> "nothing, not " + content(cache));
    }

    private static String content(NodeCache cache) {
        var data = cache.getCurrentData();
        return data == null ? "" : text(data.getData());
    }

    private void persistentWatcher(Clients clients, String path) throws Exception {
        CuratorFramework writer = client(clients);
        writer.create().forPath(path);
        PersistentWatcher watcher = new PersistentWatcher(client(clients), path, true);
        List<String> events = new CopyOnWriteArrayList<>();
        CountDownLatch set = new CountDownLatch(1);
        watcher.getListenable().addListener(event -> events.add(event.getType() + " " + event.getPath()));
        watcher.getResetListenable().addListener(set::countDown);
        watcher.start();
        clients.keep(watcher);
        check(set.await(20, TimeUnit.SECONDS), "the watch is set");
        List<String> expected = new ArrayList<>();
        for (int number = 0; number < 50; number++) {
            writer.create().forPath(path + "/" + number);
            expected.add("NodeCreated " + path + "/" + number);
        }
        eventually(() -> events.size() >= 50, () -> "fifty events, not " + events.size());
        checkEqual(events, expected, "events");
    }

    private void lostServer(Clients clients, String path) throws Exception {
        servers.needs(3);
        servers.needsControl();
        CuratorFramework writer = client(clients);
        writer.create().creatingParentsIfNeeded().forPath(path + "/0", bytes("0"));
        CuratorCache cache = CuratorCache.build(client(clients), path);
        cache.start();
        clients.keep(cache);
        eventually(() -> cache.size() == 2, () -> "the cache is filled, not " + cache.size());
        int leader = servers.leader();
        servers.order("kill", leader);
        try {
            for (int number = 1; number < 20; number++) {
                // An answer that is lost leaves the znode behind.
                writer.create().idempotent().forPath(path + "/" + number, bytes("" + number));
            }
        } finally {
            servers.order("start", leader);
        }
        eventually(() -> cache.size() == 21, () -> "all is in the cache, not " + cache.size());
    }

    private void discovery(Clients clients, String path) throws Exception {
        CuratorFramework first = client(clients);
        CuratorFramework second = client(clients);
        List<ServiceDiscovery<String>> announcing = new ArrayList<>();
        for (CuratorFramework client : List.of(first, second)) {
            int port = 1000 + announcing.size();
            ServiceInstance<String> instance = ServiceInstance.<String>builder()
                    .name("printer").address("127.0.0.1").port(port).payload("tray " + port).build();
            ServiceDiscovery<String> discovery = ServiceDiscoveryBuilder.builder(String.class)
                    .client(client).basePath(path).thisInstance(instance).build();
            discovery.start();
            announcing.add(discovery);
        }
        ServiceDiscovery<String> asking =
                ServiceDiscoveryBuilder.builder(String.class).client(client(clients)).basePath(path).build();
        asking.start();
        clients.keep(asking);
        eventually(() -> instances(asking) == 2, () -> "two instances, not " + instances(asking));
        checkEqual(List.copyOf(asking.queryForNames()), List.of("printer"), "names");
        ServiceCache<String> cache = asking.serviceCacheBuilder().name("printer").build();
        cache.start();
        clients.keep(cache);
        ServiceProvider<String> provider = asking.serviceProviderBuilder().serviceName("printer").build();
        provider.start();
        clients.keep(provider);
        check(provider.getInstance().getPayload().startsWith("tray "), "an instance and what it says of itself");
        eventually(() -> cache.getInstances().size() == 2, () -> "two instances in the cache");
        announcing.get(0).close();
        eventually(() -> cache.getInstances().size() == 1, () -> "one instance when the other one says good-bye");
        second.close();
        eventually(() -> instances(asking) == 0, () -> "none when the session is closed, not " + instances(asking));
    }

    private static int instances(ServiceDiscovery<String> discovery) {
        try {
            return discovery.queryForInstances("printer").size();
        } catch (Exception error) {
            return -1;
        }
    }

    /** Something to be written as JSON. */
    public static final class Setting {
        public String name;
        public int value;
    }

    private void modeled(Clients clients, String path) throws Exception {
        AsyncCuratorFramework client = AsyncCuratorFramework.wrap(client(clients));
        ModelSpec<Setting> spec =
                ModelSpec.builder(ZPath.parse(path), JacksonModelSerializer.build(Setting.class)).build();
        ModeledFramework<Setting> settings = ModeledFramework.wrap(client, spec);
        Setting setting = new Setting();
        setting.name = "width";
        setting.value = 7;
        settings.set(setting).toCompletableFuture().get(30, TimeUnit.SECONDS);
        Setting read = settings.read().toCompletableFuture().get(30, TimeUnit.SECONDS);
        checkEqual(read.name + " " + read.value, "width 7", "what is read");
        settings.delete().toCompletableFuture().get(30, TimeUnit.SECONDS);
    }
}
