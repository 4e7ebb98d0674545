//! What a person can tell the nodes: a word and a node's id, one a line.

/// Shown below the table.
pub(super) const HELP: &str = "kill N, stop N, start N, pause N, resume N, quit";

/// One line of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `kill -9`.
    Kill(i32),
    /// In order, as before its machine is looked after.
    Stop(i32),
    Start(i32),
    /// The process stands still, as a machine that hangs.
    Pause(i32),
    Resume(i32),
    /// Stop all, and end.
    Quit,
    Help,
}

/// Reads a line; `None` for an empty one.
pub(super) fn order(line: &str) -> Option<Result<Order, String>> {
    let mut words = line.split_whitespace();
    let word = words.next()?.to_lowercase();
    let rest: Vec<&str> = words.collect();
    let with_id: fn(i32) -> Order = match word.as_str() {
        "quit" | "exit" | "q" => return Some(Ok(Order::Quit)),
        "help" | "?" => return Some(Ok(Order::Help)),
        "kill" => Order::Kill,
        "stop" => Order::Stop,
        "start" => Order::Start,
        "pause" => Order::Pause,
        "resume" => Order::Resume,
        _ => return Some(Err(format!("{word:?} is no order; write {HELP}"))),
    };
    let id = match rest.as_slice() {
        [id] => id.parse::<i32>().ok(),
        _ => None,
    };
    Some(match id {
        Some(id) => Ok(with_id(id)),
        None => Err(format!("{word} which node? write it as {word} 2")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_a_word_and_a_node() {
        let cases = [
            ("kill 2", Order::Kill(2)),
            ("  STOP   3 ", Order::Stop(3)),
            ("start 1", Order::Start(1)),
            ("pause 1", Order::Pause(1)),
            ("resume 1", Order::Resume(1)),
            ("quit", Order::Quit),
            ("q", Order::Quit),
            ("help", Order::Help),
        ];
        for (line, expected) in cases {
            assert_eq!(order(line), Some(Ok(expected)), "{line}");
        }
        assert_eq!(order("  "), None);
    }

    #[test]
    fn what_is_no_order_is_told_how_to_be_one() {
        for line in ["kill", "kill two", "kill 1 2"] {
            let refused = order(line).unwrap().unwrap_err();
            assert_eq!(refused, "kill which node? write it as kill 2", "{line}");
        }
        let refused = order("murder 2").unwrap().unwrap_err();
        assert!(refused.contains("pause N"), "{refused}");
    }
}
