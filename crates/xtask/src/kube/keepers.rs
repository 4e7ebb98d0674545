//! The keeper's examples: an ensemble, and tenants that share it.

use anyhow::{Context, Result, bail, ensure};

use super::Case;
use super::clients::{Load, program};
use super::pod::Pod;
use super::space::{READY_LIMIT, Space, note, says, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "three_keepers_answer_probes_words_and_clients",
        run: ensemble,
    },
    Case {
        name: "the_leading_keeper_is_deleted_and_comes_back_with_its_volume",
        run: leader_deleted,
    },
    Case {
        name: "a_rolling_restart_of_keepers_keeps_sessions_and_writes",
        run: rolling_restart,
    },
    Case {
        name: "tenants_share_an_ensemble_each_below_its_own_path",
        run: tenants,
    },
];

const SERVERS: &str = "zk-0.zk-hs,zk-1.zk-hs,zk-2.zk-hs";

fn start(space: &Space) -> Result<Vec<Pod>> {
    space.apply_all(&space.example("keeper-ensemble.yaml")?)?;
    let (pods, took) = space.ready("zk", 3)?;
    note(&format!(
        "three keepers were ready {:.1} s after apply",
        took.as_secs_f64()
    ));
    Ok(pods)
}

/// The address of the client service.
fn service(space: &Space) -> Result<String> {
    let service = space.get("service", "zk")?;
    let address = service["spec"]["clusterIP"].as_str();
    Ok(format!(
        "{}:2181",
        address.context("the service has no address")?
    ))
}

fn servers(pods: &[Pod]) -> String {
    let addresses: Vec<_> = pods.iter().map(|pod| format!("{}:2181", pod.ip)).collect();
    addresses.join(",")
}

/// A pod that has `nc`, as a person would start one.
fn with_netcat(space: &Space) -> Result<()> {
    let image = std::env::var("OTTLA_KUBE_BUSYBOX").unwrap_or("localhost/busybox:1".into());
    space.idle_pod("netcat", &image, "IfNotPresent", &["sleep", "3600"])
}

/// `echo WORD | nc HOST 2181` in a pod.
fn word(space: &Space, word: &str, host: &str) -> Result<String> {
    let script = format!("echo {word} | nc {host} 2181");
    space.exec("netcat", &["sh", "-c", &script])
}

/// What the third document shows of `mntr`, but for what only a leader has.
const FIELDS: [&str; 15] = [
    "zk_version",
    "zk_avg_latency",
    "zk_max_latency",
    "zk_min_latency",
    "zk_packets_received",
    "zk_packets_sent",
    "zk_num_alive_connections",
    "zk_outstanding_requests",
    "zk_server_state",
    "zk_znode_count",
    "zk_watch_count",
    "zk_ephemerals_count",
    "zk_approximate_data_size",
    "zk_open_file_descriptor_count",
    "zk_max_file_descriptor_count",
];
const OF_THE_LEADER: [&str; 2] = ["zk_synced_followers", "zk_pending_syncs"];

/// Each server answers `ruok`, and `mntr` with all fields; one of them leads.
pub(super) fn four_letters(space: &Space, hosts: &[String]) -> Result<()> {
    with_netcat(space)?;
    let mut leaders = 0;
    for host in hosts {
        let ruok = word(space, "ruok", host)?;
        ensure!(ruok.trim() == "imok", "{host} says {ruok:?} to ruok");
        let mntr = word(space, "mntr", host)?;
        for field in FIELDS {
            says(&mntr, &format!("{field}\t"))?;
        }
        let leads = mntr.contains("zk_server_state\tleader");
        for field in OF_THE_LEADER {
            let has = mntr.contains(&format!("{field}\t"));
            ensure!(
                has == leads,
                "{field} on {host}, which leads: {leads}\n{mntr}"
            );
        }
        leaders += usize::from(leads);
    }
    ensure!(leaders == 1, "{leaders} servers lead");
    let ruok = word(space, "ruok", "zk")?;
    ensure!(ruok.trim() == "imok", "the service says {ruok:?}");
    Ok(())
}

fn ensemble(space: &Space) -> Result<()> {
    let pods = start(space)?;
    let hosts: Vec<_> = pods.iter().map(|p| format!("{}.zk-hs", p.name)).collect();
    four_letters(space, &hosts)?;
    let status = space.exec("zk-1", &["/ottla", "keeper", "status", "-S", SERVERS])?;
    says(&status, "Client port found: 2181")?;
    says(&status, "Client SSL: false")?;
    ensure!(status.matches("Mode: follower").count() == 2, "{status}");
    ensure!(status.matches("Mode: leader").count() == 1, "{status}");
    let log = space.logs("zk-0", false)?;
    says(&log, "ZK_HEAP_SIZE in the environment has no effect")?;
    // From outside of the pods: the service, and one server of the list, are enough.
    let told = program(
        "chroots.py",
        &["--connect", &service(space)?, "--all", &servers(&pods)],
    )?;
    note(told.trim());
    Ok(())
}

fn leader_of(space: &Space, pods: &[Pod]) -> Result<Pod> {
    for pod in pods {
        let status = space.exec(&pod.name, &["/ottla", "keeper", "status"])?;
        if status.contains("Mode: leader") {
            return Ok(pod.clone());
        }
    }
    bail!("no server leads")
}

fn leader_deleted(space: &Space) -> Result<()> {
    let pods = start(space)?;
    let keeper = |arguments: &[&str]| {
        let program = [&["/ottla", "keeper"], arguments, &["-S", SERVERS]].concat();
        space.exec("zk-0", &program)
    };
    keeper(&["create", "/kept", "hello"])?;
    let leader = leader_of(space, &pods)?;
    let claim = format!("data-{}", leader.name);
    let volume =
        || Ok::<_, anyhow::Error>(space.get("persistentvolumeclaim", &claim)?["spec"].take());
    let before = volume()?;
    let took = space.replace_pod(&leader.name)?;
    note(&format!(
        "{}, which led, was ready {:.1} s after it was deleted",
        leader.name,
        took.as_secs_f64()
    ));
    ensure!(volume()? == before, "{} has another volume", leader.name);
    space.ready("zk", 3)?;
    let own = space.exec(&leader.name, &["/ottla", "keeper", "get", "/kept"])?;
    says(&own, "hello")?;
    let log = space.logs(&leader.name, false)?;
    ensure!(
        !log.contains("founding an ensemble"),
        "it began anew:\n{log}"
    );
    Ok(())
}

fn rolling_restart(space: &Space) -> Result<()> {
    let pods = start(space)?;
    // Names follow the pods; their addresses do not outlive them.
    let load = Load::start("session_load.py", &["--connect", &service(space)?])?;
    space.run(&["rollout", "restart", "statefulset/zk"])?;
    let wait = ["-n", &space.name, "rollout", "status", "statefulset/zk"];
    space.kubectl.run_within(&wait, 2 * READY_LIMIT)?;
    let (after, _) = space.ready("zk", 3)?;
    let uids = |pods: &[Pod]| pods.iter().map(|pod| pod.uid.clone()).collect::<Vec<_>>();
    for (before, after) in uids(&pods).iter().zip(uids(&after)) {
        ensure!(*before != after, "a pod was not restarted");
    }
    let seen = load.end()?;
    note(&format!("the client saw {seen}"));
    ensure!(seen["missing"] == 0, "acknowledged writes are gone: {seen}");
    ensure!(seen["sessions"] == 1, "its session ended: {seen}");
    ensure!(seen["acknowledged"].as_u64() > Some(50), "{seen}");
    Ok(())
}

fn tenants(space: &Space) -> Result<()> {
    start(space)?;
    // The file names the namespaces of its reader; here they are the case's own.
    let (one, two) = (space.beside("a")?, space.beside("b")?);
    let played = share(space, &one, &two);
    if played.is_err() {
        println!("{}{}", one.report(), two.report());
    }
    one.remove()?;
    two.remove()?;
    played
}

fn share(space: &Space, one: &Space, two: &Space) -> Result<()> {
    let mut resources = space.example("keeper-tenants.yaml")?;
    for resource in &mut resources {
        for (text, by) in [
            ("tenant-a", &*one.name),
            ("tenant-b", &*two.name),
            ("zk.zookeeper", &*format!("zk.{}", space.name)),
        ] {
            super::space::replace(resource, text, by);
        }
    }
    for resource in resources {
        let text = resource.to_string();
        space.kubectl.feed(&["apply", "-f", "-"], &text)?;
    }
    for tenant in [one, two] {
        within(READY_LIMIT, "the tenant's job is done", || {
            let job = tenant.get("job", "keeper-root")?;
            Ok(job["status"]["succeeded"] == 1)
        })?;
    }
    let keeper = |arguments: &[&str]| {
        let program = [&["/ottla", "keeper"], arguments, &["-S", SERVERS]].concat();
        space.exec("zk-0", &program)
    };
    let listed = keeper(&["ls", "/"])?;
    says(&listed, &one.name)?;
    says(&listed, &two.name)?;
    let quota = keeper(&["quota", "list", &format!("/{}", one.name)])?;
    note(quota.trim());
    let told = program(
        "chroots.py",
        &[
            "--connect",
            &service(space)?,
            "--tenants",
            &format!("{},{}", one.name, two.name),
        ],
    )?;
    note(told.trim());
    Ok(())
}
