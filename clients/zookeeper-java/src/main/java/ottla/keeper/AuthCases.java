package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.created;
import static ottla.keeper.Servers.refused;
import static ottla.keeper.Servers.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.AppConfigurationEntry.LoginModuleControlFlag;
import javax.security.auth.login.Configuration;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.ZooKeeper.States;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;
import org.apache.zookeeper.server.auth.DigestLoginModule;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** Who a client is, and what it may do. */
final class AuthCases {
    private final Servers servers;
    private final Map<String, Map<String, String>> logins = new HashMap<>();

    AuthCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("who_am_i_lists_all_identities", this::whoAmI);
        servers.add("digests_are_what_the_library_computes", this::digest);
        servers.add("identities_are_added_again_on_a_new_connection", this::reconnect);
        servers.add("an_unknown_scheme_ends_the_client", this::unknownScheme);
        servers.add("the_superuser_passes_every_acl", this::superuser);
        servers.add("acls_hide_what_they_name_from_strangers", this::hidden);
        servers.add("sasl_logs_in", this::sasl);
        servers.add("sasl_refuses_a_wrong_password", this::saslRefused);
    }

    private static List<String> identities(ZooKeeper client) throws Exception {
        List<String> found = new ArrayList<>();
        for (ClientInfo info : client.whoAmI()) {
            found.add(info.getAuthScheme() + " " + info.getUser());
        }
        return found;
    }

    private void whoAmI(Clients clients, String path) throws Exception {
        ZooKeeper client = clients.start();
        checkEqual(identities(client), List.of("ip 127.0.0.1"), "identities of a stranger");
        client.addAuthInfo("digest", bytes("alice:wonderland"));
        client.addAuthInfo("digest", bytes("bob:builder"));
        List<String> all = identities(client);
        check(all.containsAll(List.of("ip 127.0.0.1", "digest alice", "digest bob")), "identities " + all);
    }

    private void digest(Clients clients, String path) throws Exception {
        ZooKeeper owner = clients.start();
        ZooKeeper stranger = clients.start();
        owner.addAuthInfo("digest", bytes("alice:wonderland"));
        owner.create(path, bytes("secret"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        String digest = DigestAuthenticationProvider.generateDigest("alice:wonderland");
        // To whoever may not change it, the digest is not shown.
        ACL stored = new ACL(Perms.ALL, new Id("digest", digest));
        checkEqual(owner.getACL(path, null), List.of(stored), "the ACL that is kept");
        stranger.sync(path);
        refused(Code.NOAUTH, () -> stranger.getData(path, false, null));
        refused(Code.NOAUTH, () -> stranger.getACL(path, null));
        owner.setACL(path, Arrays.asList(stored, new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE)), -1);
        stranger.sync(path);
        ACL shown = stranger.getACL(path, null).get(0);
        checkEqual(shown.getId(), new Id("digest", "alice:x"), "the identity that strangers are shown");
    }

    private void reconnect(Clients clients, String path) throws Exception {
        Proxy proxy = clients.keep(new Proxy(servers.addresses.get(0)));
        Events events = new Events();
        ZooKeeper client = clients.start(proxy.address(), Servers.SESSION_MS, events);
        client.addAuthInfo("digest", bytes("alice:wonderland"));
        client.create(path, bytes("secret"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        proxy.cut();
        eventually(() -> events.states().size() >= 3, () -> "the client connects again, states " + events.states());
        checkEqual(text(client.getData(path, false, null)), "secret", "what is read on the new connection");
    }

    private void unknownScheme(Clients clients, String path) throws Exception {
        Events events = new Events();
        ZooKeeper client = clients.start(servers.connect, Servers.SESSION_MS, events);
        client.addAuthInfo("nonsense", bytes("alice:wonderland"));
        events.expectState(KeeperState.AuthFailed);
        eventually(() -> client.getState() == States.AUTH_FAILED || client.getState() == States.CLOSED,
                () -> "the client's state is " + client.getState());
    }

    private void superuser(Clients clients, String path) throws Exception {
        ZooKeeper owner = clients.start();
        owner.addAuthInfo("digest", bytes("alice:wonderland"));
        owner.create(path, bytes("secret"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        ZooKeeper chief = clients.start();
        chief.addAuthInfo("digest", bytes(servers.superuser()));
        chief.sync(path);
        checkEqual(text(chief.getData(path, false, null)), "secret", "what the superuser reads");
        chief.setACL(path, Ids.OPEN_ACL_UNSAFE, -1);
        chief.delete(path, -1);
        check(identities(chief).stream().anyMatch(id -> id.startsWith("super ")), "identities " + identities(chief));
    }

    private void hidden(Clients clients, String path) throws Exception {
        ZooKeeper owner = created(clients.start(), path);
        ZooKeeper stranger = clients.start();
        owner.addAuthInfo("digest", bytes("alice:wonderland"));
        owner.create(path + "/c", bytes("x"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        stranger.sync(path);
        checkEqual(stranger.getChildren(path, false), List.of("c"), "the name is seen in the parent");
        refused(Code.NOAUTH, () -> stranger.exists(path + "/c", false));
        refused(Code.NOAUTH, () -> stranger.getChildren(path + "/c", false));
        refused(Code.NOAUTH, () -> stranger.getAllChildrenNumber(path + "/c"));
        stranger.delete(path + "/c", -1);
    }

    /** A client that logs in with DIGEST-MD5, from a login context of its own. */
    private ZooKeeper login(Clients clients, String user, String password, Events events) throws Exception {
        String context = Suite.fresh("login");
        logins.put(context, Map.of("username", user, "password", password));
        Configuration.setConfiguration(new Configuration() {
            @Override
            public AppConfigurationEntry[] getAppConfigurationEntry(String name) {
                Map<String, String> options = logins.get(name);
                return options == null ? null : new AppConfigurationEntry[] {
                    new AppConfigurationEntry(
                            DigestLoginModule.class.getName(), LoginModuleControlFlag.REQUIRED, options)
                };
            }
        });
        ZKClientConfig config = new ZKClientConfig();
        config.setProperty(ZKClientConfig.ENABLE_CLIENT_SASL_KEY, "true");
        config.setProperty(ZKClientConfig.LOGIN_CONTEXT_NAME_KEY, context);
        // Else the client does without DIGEST-MD5, as FIPS does not know it.
        config.setProperty("zookeeper.fips-mode", "false");
        return clients.keep(new ZooKeeper(servers.connect, Servers.SESSION_MS, events, config));
    }

    private void sasl(Clients clients, String path) throws Exception {
        String[] user = servers.saslUser();
        Events events = new Events();
        ZooKeeper client = login(clients, user[0], user[1], events);
        events.expectState(KeeperState.SaslAuthenticated);
        client.create(path, bytes("secret"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<ACL> expected = List.of(new ACL(Perms.ALL, new Id("sasl", user[0])));
        checkEqual(client.getACL(path, null), expected, "the ACL that is kept");
        check(identities(client).contains("sasl " + user[0]), "identities " + identities(client));
        ZooKeeper stranger = clients.start();
        stranger.sync(path);
        refused(Code.NOAUTH, () -> stranger.getData(path, false, null));
    }

    private void saslRefused(Clients clients, String path) throws Exception {
        String[] user = servers.saslUser();
        Events events = new Events();
        ZooKeeper client = login(clients, user[0], "a-guess", events);
        events.expectState(KeeperState.AuthFailed);
        eventually(() -> !client.getState().isConnected(), () -> "the client's state is " + client.getState());
    }
}
