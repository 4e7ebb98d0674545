package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.created;
import static ottla.keeper.Servers.refused;
import static ottla.keeper.Servers.text;

import java.util.List;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** The members of the ensemble as clients see and change them: {@code /zookeeper/config} and {@code reconfig}. */
final class MemberCases {
    private final Servers servers;

    MemberCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("the_config_names_all_members", this::config);
        servers.add("reconfig_needs_the_right_to_it", this::refusals);
        servers.add("a_member_leaves_and_comes_back", this::leaveAndReturn);
    }

    private static List<String> members(byte[] config) {
        return text(config).lines().filter(line -> line.startsWith("server.")).sorted().toList();
    }

    private ZooKeeperAdmin admin(Clients clients, boolean chief) throws Exception {
        var connected = new Servers.ConnectedWatcher(event -> {});
        ZooKeeperAdmin admin = clients.keep(
                new ZooKeeperAdmin(servers.connect, Servers.SESSION_MS, connected, Clients.plain()));
        connected.await(admin);
        if (chief) {
            admin.addAuthInfo("digest", bytes(servers.superuser()));
        }
        return admin;
    }

    private void config(Clients clients, String path) throws Exception {
        servers.needs(2);
        ZooKeeper client = clients.start();
        Stat stat = new Stat();
        byte[] config = client.getConfig(false, stat);
        checkEqual(members(config).size(), servers.addresses.size(), "members in " + text(config));
        for (String address : servers.addresses) {
            check(members(config).stream().anyMatch(line -> line.endsWith(";" + address)), address + " in " + text(config));
        }
        String last = text(config).lines().reduce((a, b) -> b).orElse("");
        check(last.startsWith("version="), "the last line " + last);
        checkEqual(text(client.getData("/zookeeper/config", false, null)), text(config), "the znode's data");
    }

    private void refusals(Clients clients, String path) throws Exception {
        servers.needs(2);
        ZooKeeperAdmin stranger = admin(clients, false);
        refused(Code.NOAUTH, () -> stranger.reconfigure((String) null, "1", null, -1, null));
        ZooKeeperAdmin chief = admin(clients, true);
        refused(Code.BADVERSION, () -> chief.reconfigure((String) null, "1", null, 0x7777, null));
        refused(Code.BADARGUMENTS, () -> chief.reconfigure("not a member", null, null, -1, null));
        checkEqual(members(chief.getConfig(false, null)).size(), servers.addresses.size(), "members after all that");
    }

    private void leaveAndReturn(Clients clients, String path) throws Exception {
        servers.needs(3);
        ZooKeeperAdmin chief = admin(clients, true);
        ZooKeeper client = created(clients.start(), path);
        List<String> before = members(chief.getConfig(false, null));
        int leader = servers.leader();
        int leaving = leader == 0 ? 1 : 0;
        String line = before.stream().filter(l -> l.startsWith("server." + (leaving + 1) + "=")).findFirst().orElseThrow();
        Events events = new Events();
        client.getConfig(events, null);
        Stat stat = new Stat();
        byte[] fewer = again(() -> chief.reconfigure((String) null, "" + (leaving + 1), null, -1, stat));
        checkEqual(members(fewer).size(), before.size() - 1, "members in " + text(fewer));
        check(!members(fewer).contains(line), "the one that left");
        checkEqual(text(client.getData("/zookeeper/config", false, null)).isEmpty(), false, "the config is read");
        eventually(() -> events.seen().contains("NodeDataChanged /zookeeper/config"), () -> "events " + events.seen());
        again(() -> client.setData(path, bytes("with fewer"), -1));
        byte[] all = again(() -> chief.reconfigure(line, null, null, -1, null));
        checkEqual(members(all), before, "members when it is back");
        eventually(() -> servers.mode(leaving).equals("follower"), () -> "its mode is " + servers.mode(leaving));
        ZooKeeper there = clients.ofServer(leaving);
        there.sync(path);
        checkEqual(text(there.getData(path, false, null)), "with fewer", "what it has missed");
    }

    private interface Call<T> {
        T run() throws Exception;
    }

    /** A change of members may cut connections, or come while another one is not done. */
    private static <T> T again(Call<T> call) throws Exception {
        for (int turn = 0; ; turn++) {
            try {
                return call.run();
            } catch (KeeperException.ConnectionLossException
                    | KeeperException.ReconfigInProgress
                    | KeeperException.NewConfigNoQuorum error) {
                check(turn < 100, "the change of members goes through: " + error);
                Thread.sleep(200);
            }
        }
    }
}
