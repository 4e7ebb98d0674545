package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.retry.ExponentialBackoffRetry;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** Curator's recipes in which processes wait for each other. */
final class LockCases {
    private static final long WAIT_SECONDS = 60;
    private final Servers servers;

    LockCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("a_mutex_has_one_holder", this::mutex);
        servers.add("a_mutex_is_free_when_its_holder_is_gone", this::mutexOfTheDead);
        servers.add("a_mutex_can_be_revoked", this::revocable);
        servers.add("readers_share_a_lock_that_a_writer_has_alone", this::readWrite);
        servers.add("several_locks_are_taken_as_one", this::multiLock);
        servers.add("a_semaphore_gives_so_many_leases", this::semaphore);
        servers.add("a_latch_has_one_leader_and_then_another", this::latch);
        servers.add("a_selector_lets_each_lead_in_turn", this::selector);
        servers.add("a_barrier_holds_everybody", this::barrier);
        servers.add("a_double_barrier_lets_in_and_out_together", this::doubleBarrier);
    }

    /** A client of Curator, connected. */
    static CuratorFramework client(Servers servers, Clients clients) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(servers.connect)
                .sessionTimeoutMs(Servers.SESSION_MS)
                .connectionTimeoutMs(20_000)
                .retryPolicy(new ExponentialBackoffRetry(100, 10))
                .build();
        client.start();
        clients.keep(client);
        check(client.blockUntilConnected(40, TimeUnit.SECONDS), "connected within 40 s");
        return client;
    }

    /** Runs all at once; the first failure is the case's. */
    static void together(List<Callable<Void>> bodies) throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try {
            List<Future<Void>> running = new ArrayList<>();
            for (Callable<Void> body : bodies) {
                running.add(threads.submit(body));
            }
            for (Future<Void> one : running) {
                one.get(90, TimeUnit.SECONDS);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    private void mutex(Clients clients, String path) throws Exception {
        List<Callable<Void>> workers = new ArrayList<>();
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger taken = new AtomicInteger();
        for (int number = 0; number < 4; number++) {
            CuratorFramework client = client(servers, clients);
            workers.add(() -> {
                InterProcessMutex lock = new InterProcessMutex(client, path);
                for (int turn = 0; turn < 8; turn++) {
                    check(lock.acquire(WAIT_SECONDS, TimeUnit.SECONDS), "the lock is had");
                    check(lock.acquire(1, TimeUnit.SECONDS), "whoever has it may take it again");
                    checkEqual(inside.incrementAndGet(), 1, "holders");
                    Thread.sleep(3);
                    inside.decrementAndGet();
                    taken.incrementAndGet();
                    lock.release();
                    lock.release();
                }
                return null;
            });
        }
        together(workers);
        checkEqual(taken.get(), 32, "how often the lock was had");
    }

    private void mutexOfTheDead(Clients clients, String path) throws Exception {
        CuratorFramework holder = client(servers, clients);
        CuratorFramework waiter = client(servers, clients);
        check(new InterProcessMutex(holder, path).acquire(10, TimeUnit.SECONDS), "the lock is had");
        InterProcessMutex lock = new InterProcessMutex(waiter, path);
        check(!lock.acquire(500, TimeUnit.MILLISECONDS), "nobody else has it");
        holder.close();
        check(lock.acquire(30, TimeUnit.SECONDS), "the next one has it when the holder is gone");
        lock.release();
        InterProcessSemaphoreMutex simple = new InterProcessSemaphoreMutex(waiter, path + "-simple");
        check(simple.acquire(10, TimeUnit.SECONDS), "a lock that cannot be taken twice");
        check(!simple.acquire(300, TimeUnit.MILLISECONDS), "not even by its holder");
        simple.release();
    }

    private void revocable(Clients clients, String path) throws Exception {
        CuratorFramework client = client(servers, clients);
        InterProcessMutex lock = new InterProcessMutex(client, path);
        CountDownLatch asked = new CountDownLatch(1);
        lock.makeRevocable(forLock -> asked.countDown());
        check(lock.acquire(10, TimeUnit.SECONDS), "the lock is had");
        String node = lock.getParticipantNodes().iterator().next();
        org.apache.curator.framework.recipes.locks.Revoker.attemptRevoke(client(servers, clients), node);
        check(asked.await(20, TimeUnit.SECONDS), "the holder is asked to give it up");
        lock.release();
    }

    private void readWrite(Clients clients, String path) throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(client(servers, clients), path);
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(client(servers, clients), path);
        check(one.readLock().acquire(10, TimeUnit.SECONDS), "one reads");
        check(two.readLock().acquire(10, TimeUnit.SECONDS), "another one, too");
        check(!two.writeLock().acquire(500, TimeUnit.MILLISECONDS), "nobody writes meanwhile");
        two.readLock().release();
        one.readLock().release();
        check(two.writeLock().acquire(10, TimeUnit.SECONDS), "one writes");
        check(two.readLock().acquire(10, TimeUnit.SECONDS), "whoever writes may read");
        check(!one.readLock().acquire(500, TimeUnit.MILLISECONDS), "nobody else reads meanwhile");
        two.writeLock().release();
        check(one.readLock().acquire(10, TimeUnit.SECONDS), "a writer that only reads lets others read");
    }

    private void multiLock(Clients clients, String path) throws Exception {
        CuratorFramework one = client(servers, clients);
        CuratorFramework two = client(servers, clients);
        List<String> paths = List.of(path + "-a", path + "-b");
        InterProcessMultiLock both = new InterProcessMultiLock(one, paths);
        InterProcessMutex single = new InterProcessMutex(two, path + "-b");
        check(both.acquire(10, TimeUnit.SECONDS), "both are had");
        check(!single.acquire(300, TimeUnit.MILLISECONDS), "one of them is not free");
        both.release();
        check(single.acquire(10, TimeUnit.SECONDS), "then it is");
        check(!both.acquire(500, TimeUnit.MILLISECONDS), "both are not had when one is taken");
        check(new InterProcessMutex(two, path + "-a").acquire(10, TimeUnit.SECONDS), "and none is kept");
    }

    private void semaphore(Clients clients, String path) throws Exception {
        List<Callable<Void>> workers = new ArrayList<>();
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        for (int number = 0; number < 6; number++) {
            CuratorFramework client = client(servers, clients);
            workers.add(() -> {
                InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, path, 3);
                for (int turn = 0; turn < 3; turn++) {
                    Lease lease = semaphore.acquire(WAIT_SECONDS, TimeUnit.SECONDS);
                    check(lease != null, "a lease is had");
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    Thread.sleep(250);
                    inside.decrementAndGet();
                    semaphore.returnLease(lease);
                }
                return null;
            });
        }
        together(workers);
        check(most.get() >= 2 && most.get() <= 3, "leases at once: " + most.get());
    }

    private void latch(Clients clients, String path) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            LeaderLatch latch = new LeaderLatch(client(servers, clients), path, "candidate " + number);
            latch.start();
            latches.add(latch);
        }
        for (int left = 3; left > 0; left--) {
            eventually(() -> leaders(latches) == 1, () -> "one leads, not " + leaders(latches));
            eventually(() -> participants(latches.get(0)) == latches.size(), () -> "all take part");
            LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership).findFirst().orElseThrow();
            checkEqual(latches.get(0).getLeader().getId(), leader.getId(), "the leader that another one sees");
            latches.remove(leader);
            leader.close();
            check(!leader.hasLeadership(), "whoever is closed leads no longer");
        }
    }

    private static long leaders(List<LeaderLatch> latches) {
        return latches.stream().filter(LeaderLatch::hasLeadership).count();
    }

    private static int participants(LeaderLatch latch) {
        try {
            return latch.getParticipants().size();
        } catch (Exception error) {
            return -1;
        }
    }

    private void selector(Clients clients, String path) throws Exception {
        List<String> led = new CopyOnWriteArrayList<>();
        AtomicInteger at = new AtomicInteger();
        List<String> names = List.of("candidate 0", "candidate 1", "candidate 2");
        List<LeaderSelector> selectors = new ArrayList<>();
        for (String name : names) {
            LeaderSelector selector = new LeaderSelector(client(servers, clients), path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) throws Exception {
                    led.add(at.incrementAndGet() == 1 ? name : name + " beside another one");
                    try {
                        Thread.sleep(50);
                    } finally {
                        // Whoever is closed while it leads is interrupted, and somebody else may lead before that one is closed, too.
                        at.decrementAndGet();
                    }
                }
            });
            selector.setId(name);
            selector.autoRequeue();
            selectors.add(selector);
        }
        for (LeaderSelector selector : selectors) {
            selector.start();
        }
        // A machine under load may bring one of them late to the queue: the others lead more often then.
        eventually(() -> led.size() >= 9 && names.stream().allMatch(name -> Collections.frequency(led, name) >= 2),
                () -> "each leads more than once, not " + led);
        for (LeaderSelector selector : selectors) {
            selector.close();
        }
        check(led.stream().noneMatch(turn -> turn.endsWith("another one")), "one leads at a time in " + led);
    }

    private void barrier(Clients clients, String path) throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(client(servers, clients), path);
        barrier.setBarrier();
        AtomicInteger passed = new AtomicInteger();
        List<Callable<Void>> workers = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            CuratorFramework client = client(servers, clients);
            workers.add(() -> {
                check(new DistributedBarrier(client, path).waitOnBarrier(60, TimeUnit.SECONDS), "the barrier goes");
                passed.incrementAndGet();
                return null;
            });
        }
        workers.add(() -> {
            Thread.sleep(1000);
            checkEqual(passed.get(), 0, "who passed a barrier that stands");
            barrier.removeBarrier();
            return null;
        });
        together(workers);
        checkEqual(passed.get(), 3, "who passed");
    }

    private void doubleBarrier(Clients clients, String path) throws Exception {
        int count = 4;
        AtomicInteger ready = new AtomicInteger();
        AtomicInteger done = new AtomicInteger();
        List<Callable<Void>> workers = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            CuratorFramework client = client(servers, clients);
            int slow = number;
            workers.add(() -> {
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, path, count);
                Thread.sleep(100L * slow);
                ready.incrementAndGet();
                check(barrier.enter(60, TimeUnit.SECONDS), "all enter");
                checkEqual(ready.get(), count, "who was ready when one entered");
                Thread.sleep(100L * slow);
                done.incrementAndGet();
                check(barrier.leave(60, TimeUnit.SECONDS), "all leave");
                checkEqual(done.get(), count, "who was done when one left");
                return null;
            });
        }
        together(workers);
    }
}
