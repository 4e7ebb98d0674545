package ottla.keeper;

import static ottla.clients.Suite.check;
import static ottla.clients.Suite.checkEqual;
import static ottla.keeper.Servers.bytes;
import static ottla.keeper.Servers.text;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.ZooKeeperMain;
import ottla.clients.Suite;
import ottla.keeper.Servers.Clients;

/** ZooKeeper's command line, {@code zkCli.sh}: each command as a process, and many of them through standard input. */
final class CliCases {
    private static final long PROCESS_SECONDS = 60;
    private final Servers servers;

    CliCases(Servers servers) {
        this.servers = servers;
    }

    void addTo(Suite suite) {
        servers.add("cli_commands_as_processes", this::processes);
        servers.add("cli_tells_its_errors_by_its_exit_code", this::errors);
        servers.add("cli_reads_commands_from_standard_input", this::script);
        servers.add("cli_quotas", this::quotas);
        servers.add("cli_watches", this::watches);
    }

    /** What a process said, and how it ended. */
    private record Outcome(int code, String out) {
        Outcome expect(int wanted, String... parts) {
            checkEqual(code, wanted, "the exit code, with output " + out);
            return expect(parts);
        }

        Outcome expect(String... parts) {
            int at = 0;
            for (String part : parts) {
                int found = out.indexOf(part, at);
                check(found >= 0, "\"" + part + "\" behind character " + at + " of: " + out);
                at = found + part.length();
            }
            return this;
        }
    }

    private Outcome cli(String input, String... command) throws Exception {
        List<String> words = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-Dzookeeper.sasl.client=false", "-cp", System.getProperty("java.class.path"),
                ZooKeeperMain.class.getName(), "-server", servers.connect, "-timeout", "30000"));
        words.addAll(List.of(command));
        File script = File.createTempFile("ottla-cli-", ".txt");
        File said = File.createTempFile("ottla-cli-", ".log");
        try {
            java.nio.file.Files.writeString(script.toPath(), input);
            Process process = new ProcessBuilder(words)
                    .redirectErrorStream(true).redirectInput(script).redirectOutput(said).start();
            if (!process.waitFor(PROCESS_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError("not finished after " + PROCESS_SECONDS + " s: " + String.join(" ", command));
            }
            String out = java.nio.file.Files.readString(said.toPath(), StandardCharsets.UTF_8);
            return new Outcome(process.exitValue(), out);
        } finally {
            script.delete();
            said.delete();
        }
    }

    private Outcome run(String... command) throws Exception {
        return cli("", command);
    }

    private void processes(Clients clients, String path) throws Exception {
        run("create", path, "first").expect(0, "Created " + path);
        run("get", "-s", path).expect(0, "first", "cZxid = 0x", "dataVersion = 0", "dataLength = 5", "numChildren = 0");
        run("set", path, "second").expect(0);
        run("create", "-s", "-e", path + "/n-", "x").expect(0, "Created " + path + "/n-0000000000");
        run("create", path + "/child").expect(0, "Created " + path + "/child");
        // The ephemeral goes some time after its process, which does not close its session.
        run("ls", path).expect(0, "[child");
        run("stat", path).expect(0, "dataVersion = 1", "numChildren = ");
        run("getAllChildrenNumber", path).expect(0, "1");
        run("version").expect(0, "ZooKeeper CLI version: 3.9.");
        run("deleteall", path).expect(0);
        ZooKeeper client = clients.start();
        client.sync(path);
        checkEqual(client.exists(path, false), null, "what deleteall has left");
    }

    private void errors(Clients clients, String path) throws Exception {
        run("get", path).expect(1, "Node does not exist: " + path);
        run("create", path, "x").expect(0);
        run("create", path, "x").expect(1, "Node already exists: " + path);
        run("delete", "-v", "9", path).expect(1, "version No is not valid : " + path);
        run("create", path + "/child").expect(0);
        run("delete", path).expect(1, "Node not empty: " + path);
    }

    private void script(Clients clients, String path) throws Exception {
        String input = String.join("\n",
                "create " + path + " \"some words\"",
                "get " + path,
                "create -c " + path + "/container",
                "create -t 60000 " + path + "/ttl data",
                "create " + path + "/a",
                "create " + path + "/a/b",
                "ls -R " + path,
                "ls -s " + path,
                "getAcl " + path,
                "addauth digest alice:wonderland",
                "whoami",
                "setAcl " + path + " auth:alice:cdrwa",
                "getAcl -s " + path,
                "create -e " + path + "/e",
                "getEphemerals " + path,
                "stat " + path + "/e",
                "set -s -v 0 " + path + " changed",
                "sync " + path,
                "config",
                "delete " + path + "/a/b",
                "get " + path + "/none",
                "quit", "");
        Outcome outcome = cli(input);
        outcome.expect("Created " + path, "some words", "Created " + path + "/container", "Created " + path + "/ttl");
        // Level by level.
        outcome.expect(path + "\n" + path + "/a\n" + path + "/container\n" + path + "/ttl\n" + path + "/a/b");
        outcome.expect("numChildren = 3", "'world,'anyone\n: cdrwa", "Auth scheme: User", "ip: 127.0.0.1", "digest: alice");
        outcome.expect("'digest,'alice:", ": cdrwa", "aclVersion = 1");
        outcome.expect("Created " + path + "/e", path + "/e", "ephemeralOwner = 0x", "dataVersion = 1");
        outcome.expect("Sync is OK", "version=", "Node does not exist: " + path + "/none");
        ZooKeeper client = clients.start();
        client.addAuthInfo("digest", bytes("alice:wonderland"));
        client.sync(path);
        checkEqual(text(client.getData(path, false, null)), "changed", "the data");
        checkEqual(client.exists(path + "/a/b", false), null, "what was deleted");
        checkEqual(client.exists(path + "/e", false), null, "the ephemeral of a command line that quit");
    }

    private void quotas(Clients clients, String path) throws Exception {
        String input = String.join("\n",
                "create " + path,
                "setquota -n 5 " + path,
                "listquota " + path,
                "setquota -N 2 " + path,
                "setquota -B 100 " + path,
                "listquota " + path,
                "create " + path + "/a",
                "create " + path + "/b",
                "set " + path + " " + "x".repeat(101),
                "delquota -n " + path,
                "listquota " + path,
                "delquota " + path,
                "create " + path + "/b",
                "quit", "");
        cli(input).expect(
                "Output quota for " + path + " count=5,bytes=-1", "Output stat for " + path + " count=1,bytes=0",
                "byteHardLimit=100;countHardLimit=2",
                "Created " + path + "/a", "Quota has exceeded : " + path + "/b", "Quota has exceeded : " + path,
                "Output quota for " + path + " count=-1", "Created " + path + "/b");
    }

    private void watches(Clients clients, String path) throws Exception {
        String input = String.join("\n",
                "create " + path,
                "addWatch -m PERSISTENT_RECURSIVE " + path,
                "create " + path + "/a",
                "set " + path + "/a x",
                "removewatches " + path,
                "get -w " + path,
                "set " + path + " once",
                "sync " + path,
                "quit", "");
        Outcome outcome = cli(input);
        outcome.expect("WATCHER::", "type:NodeCreated path:" + path + "/a");
        outcome.expect("WATCHER::", "type:NodeDataChanged path:" + path + "/a");
        outcome.expect("WATCHER::", "type:PersistentWatchRemoved path:" + path + " ");
        outcome.expect("WATCHER::", "type:NodeDataChanged path:" + path + " ");
        ZooKeeper client = clients.start();
        client.create(path + "/z", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }
}
