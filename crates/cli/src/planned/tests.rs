use super::*;
use crate::output::{OutputFormat, render};
use ottla_placement::{BrokerPlace, Limits, Placed, rebalance};

fn plan() -> Plan {
    let mut layout = Layout::default();
    for (id, rack) in [(1, "a"), (2, "b"), (3, "a")] {
        let place = BrokerPlace {
            rack: Some(rack.to_owned()),
            receives: true,
            is_drained: false,
        };
        layout.brokers.insert(id, place);
    }
    for partition in 0..4 {
        layout.partitions.push(Placed {
            topic: "orders".to_owned(),
            partition,
            replicas: vec![1, 2],
            isr: vec![1, 2],
            bytes: 1 << 20,
        });
    }
    rebalance(&layout, Limits::default())
}

#[test]
fn a_plan_shows_what_moves_and_what_comes_of_it() {
    let mut planned = Planned::new("cluster".to_owned(), &plan());
    planned.note = "nothing was moved yet".to_owned();
    let expected = "\
PARTITION   REPLICAS   NEW REPLICAS   TO COPY
orders-0    1,2        3,2            1.00 MiB
orders-1    1,2        3,2            1.00 MiB
orders-2    1,2        2,1            only the order

BROKER   RACK   REPLICAS   PREFERRED LEADER OF   SIZE
1        a      4 -> 2     4 -> 1                4.00 MiB -> 2.00 MiB
2        b      4          0 -> 1                4.00 MiB
3        a      0 -> 2     0 -> 2                0 B -> 2.00 MiB
2 partitions to copy, 2.00 MiB in all; 1 partition only in order
cluster: nothing was moved yet
";
    assert_eq!(render(&planned, OutputFormat::Table).unwrap(), expected);
}

#[test]
fn what_was_done_is_told_in_one_line() {
    let mut planned = Planned::new("cluster".to_owned(), &plan());
    planned.executed = true;
    planned.outcome = Some(Moved {
        moved: 2,
        reordered: 1,
        elected: 3,
        failures: Vec::new(),
    });
    let expected = "cluster: 2 partitions moved, 1 put in order, 3 got another leader\n";
    assert_eq!(render(&planned, OutputFormat::Table).unwrap(), expected);
    let json = render(&planned, OutputFormat::Json).unwrap();
    for field in [
        "\"executed\": true",
        "\"moved\": 2",
        "\"partitions_to_copy\": 2",
        "\"before\"",
    ] {
        assert!(json.contains(field), "{field}: {json}");
    }
}
