//! Backups over HTTP, as `curl` and the command line ask for them.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use clap::Parser as _;
use ottla_cli::{Action, Cli, Exit, Streams};

use super::*;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

struct Ran {
    exit: Exit,
    out: Vec<u8>,
    err: String,
}

impl Ran {
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.exit, Exit::Ok, "{}", self.err);
        serde_json::from_slice(&self.out).unwrap()
    }
}

impl Served {
    /// Runs `ottla keeper LINE`.
    async fn run(&self, line: &str, input: Vec<u8>) -> Ran {
        let keeper = self.node.get().unwrap().keeper.clone().unwrap();
        let clients = keeper.client_ports()[0].address.to_string();
        let words = ["ottla", "keeper", "-S", &clients].into_iter();
        let action = Cli::try_parse_from(words.chain(line.split(' ')));
        let Action::Command(command, global) = action.unwrap().action().unwrap() else {
            panic!("this is the server");
        };
        let (out, err) = (Shared::default(), Shared::default());
        let mut streams = Streams {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Some(Box::new(io::Cursor::new(input))),
            out_is_terminal: false,
            err_is_terminal: false,
            input_is_terminal: false,
            colour: false,
        };
        let runtime = Runtime::real();
        let env = BTreeMap::new();
        let running = ottla_cli::run(command, &global, &env, &runtime, &mut streams);
        Ran {
            exit: Box::pin(running).await,
            out: out.bytes(),
            err: String::from_utf8(err.bytes()).unwrap(),
        }
    }

    async fn well(&self, line: &str) -> Vec<u8> {
        let ran = self.run(line, Vec::new()).await;
        assert_eq!(ran.exit, Exit::Ok, "{line}: {}", ran.err);
        ran.out
    }

    fn at(&self) -> String {
        format!("--admin {}/zk/commands", self.http)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_backs_up_and_restores_over_http() {
    let served = Served::open().await;
    served.start().await;
    let at = served.at();
    served.well("create /app kept").await;
    let file = served._dir.path().join("backup");
    let snapshot = format!("snapshot {} {at} -o json", text(&file));
    let made = served.run(&snapshot, Vec::new()).await.json();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(made["bytes"], bytes.len());
    assert_eq!(made["znodes"], 5);
    assert!(made["zxid"].as_str().unwrap().starts_with("0x"));
    assert!(!Path::new(&format!("{}.part", text(&file))).exists());
    // The same to standard output.
    let out = served.well(&format!("snapshot - {at}")).await;
    assert!(out.starts_with(b"ZKSN"));

    served.well("create /later x").await;
    let restore = format!("restore {} --yes {at} -o json", text(&file));
    let told = served.run(&restore, Vec::new()).await.json();
    assert_eq!(told["znodes"], 6, "as ZooKeeper counts them");
    assert_eq!(served.well("get /app").await, b"kept\n");
    assert_eq!(
        served.run("get /later", Vec::new()).await.exit,
        Exit::NotFound
    );
    served.well("create /later x").await;
    let ran = served.run(&format!("restore - {at}"), bytes.clone()).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(
        served.run("get /later", Vec::new()).await.exit,
        Exit::NotFound
    );

    // What is no backup is refused, and says so, however long it is.
    for foreign in [b"nonsense".to_vec(), vec![b'x'; 3 << 20]] {
        let ran = served.run(&format!("restore - {at}"), foreign).await;
        assert_eq!(ran.exit, Exit::Failed);
        assert!(ran.err.contains("no snapshot of ZooKeeper"), "{}", ran.err);
    }
    assert_eq!(served.well("get /app").await, b"kept\n");

    // Whoever may not is told.
    served.well("acl set / world:anyone:r").await;
    for line in [format!("snapshot - {at}"), format!("restore - {at}")] {
        let ran = served.run(&line, bytes.clone()).await;
        assert_eq!(ran.exit, Exit::Denied, "{}", ran.err);
    }
    let nobody = served
        .run("snapshot - --admin 127.0.0.1:1", Vec::new())
        .await;
    assert_eq!(nobody.exit, Exit::Unreachable);
    assert!(nobody.err.contains("--admin"), "{}", nobody.err);
    served.runtime.tasks.stop().await;
}

/// The directory of a real ZooKeeper, with plain names.
fn zookeeper(dir: &Path) {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../znode/tests/version-2");
    let folder = dir.join("version-2");
    std::fs::create_dir(&folder).unwrap();
    let name = "snapshot.26d.snappy";
    std::fs::copy(format!("{recorded}/{name}"), folder.join(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zookeepers_directory_is_imported_onto_nothing() {
    let served = Served::open().await;
    served.start().await;
    let at = served.at();
    let from = tempfile::tempdir().unwrap();
    let import = format!("import --from {} {at} -o json", text(from.path()));
    let refused = served.run(&import, Vec::new()).await;
    assert_eq!(refused.exit, Exit::Failed);
    assert!(
        refused.err.contains("no folder version-2"),
        "{}",
        refused.err
    );
    zookeeper(from.path());
    let told = served.run(&import, Vec::new()).await.json();
    assert_eq!(told["snapshot"], "snapshot.26d.snappy");
    assert_eq!(told["zxid"], "0x26d");
    assert!(told["znodes"].as_u64().unwrap() > 40, "{told}");
    assert_eq!(told["ensemble"]["znodes"], told["znodes"]);
    let again = served.run(&import, Vec::new()).await;
    assert!(again.err.contains("give --replace"), "{}", again.err);
    let replaced = served.run(&format!("{import} --replace"), Vec::new()).await;
    assert_eq!(replaced.json()["znodes"], told["znodes"]);
    served.runtime.tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adminservers_own_way_of_asking_works() {
    let served = Served::open().await;
    served.start().await;
    let (status, _, body) = ask(served.http, "GET", "/zk/commands/snapshot").await;
    assert_eq!(status, 401);
    assert!(body.contains("Auth info is missing"), "{body}");
    assert_eq!(ask(served.http, "GET", "/zk/commands/restore").await.0, 405);
    assert_eq!(ask(served.http, "POST", "/zk/commands/snap").await.0, 405);
    let head = "snap?streaming=false HTTP/1.1\r\nAuthorization: digest root:secret\r\nX: y";
    let (status, head, body) = ask(served.http, "GET", &format!("/zk/commands/{head}\r\nZ:")).await;
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("\r\nlast_zxid: 0x"), "{head}");
    assert!(head.contains("\r\nsnapshot_size: "), "{head}");
    served.runtime.tasks.stop().await;
}
