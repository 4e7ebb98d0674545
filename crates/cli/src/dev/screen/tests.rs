use super::*;

fn row(id: i32, state: State) -> Row {
    Row {
        id,
        host: "127.0.0.1",
        port: 9090 + 2 * u16::try_from(id).unwrap(),
        pid: Some(4_194_300 + u32::try_from(id).unwrap()),
        state,
        is_controller: Some(id == 1),
        carries: Some((12_345, 123_456, 0)),
        load: Load {
            resident_bytes: Some(987 << 20),
            cpu_percent: Some(134.2),
        },
    }
}

fn gone(id: i32, state: State) -> Row {
    Row {
        pid: None,
        is_controller: Some(false),
        load: Load::default(),
        ..row(id, state)
    }
}

fn frame(rows: Vec<Row>, events: usize) -> Frame<'static> {
    Frame {
        title: "title".to_owned(),
        places: &[],
        rows,
        events: (0..events).map(|n| format!("event {n}")).collect(),
        help: "help".to_owned(),
    }
}

#[test]
fn a_narrow_terminal_gets_ports_and_a_wide_one_addresses() {
    let rows = [row(1, State::Running), gone(2, State::Killed)];
    let narrow = "\
NODE  PORT  PID      STATE     QUORUM  LEADS  REPLICAS  BEHIND  MEMORY    CPU
1     9092  4194301  running   leader  12345  123456    0       987 MiB   134%
2     9094  -        killed    -       12345  123456    0       -         -
";
    assert_eq!(nodes(&rows, 80), narrow);
    let wide = nodes(&rows, 120);
    assert!(wide.contains("1      127.0.0.1:9092   4194301"), "{wide}");
}

#[test]
fn the_fullest_table_fits_eighty_columns() {
    let mut full = row(1, State::Starting);
    full.port = 65_000;
    full.load.resident_bytes = Some((12 << 20) + (400 << 10));
    let text = nodes(&[full], 80);
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(longest < 80, "{longest}: {text}");
}

#[test]
fn while_nobody_answers_only_processes_are_known() {
    let mut unknown = row(3, State::Starting);
    unknown.carries = None;
    unknown.is_controller = None;
    let text = nodes(&[unknown], 80);
    let cells: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[3..8], ["starting", "-", "-", "-", "-"]);
}

#[test]
fn a_frame_keeps_its_height_fills_the_terminal_and_never_wraps() {
    for size in [(80, 24), (40, 24), (200, 50), (20, 5), (1, 1)] {
        let heights: Vec<usize> = [0, 1, 5, 100]
            .map(|events| {
                let rows = vec![row(1, State::Running), gone(2, State::Killed)];
                let lines = frame(rows, events).lines(size, false);
                for line in &lines {
                    let width = line.chars().count();
                    assert!(width < usize::from(size.0).max(2), "{size:?}: {line}");
                }
                assert!(lines.len() < usize::from(size.1).max(2), "{size:?}");
                lines.len()
            })
            .into();
        assert!(heights.iter().all(|h| *h == heights[0]), "{heights:?}");
    }
}

#[test]
fn the_newest_events_are_shown_in_their_order() {
    let lines = frame(vec![row(1, State::Running)], 50).lines((80, 24), false);
    let events: Vec<&String> = lines.iter().filter(|l| l.starts_with("event")).collect();
    assert_eq!(events.len(), EVENTS_MAX);
    assert_eq!(events[EVENTS_MAX - 1], "event 49");
    assert_eq!(lines.last().unwrap(), "help");
}

#[test]
fn a_long_event_goes_on_below_its_text() {
    let event = "10:19:02Z  node 2 ended with exit code 1 (see ./log): no room";
    let expected = [
        "10:19:02Z  node 2 ended with",
        "           exit code 1 (see",
        "           ./log): no room",
    ];
    assert_eq!(wrapped(event, 30), expected);
    assert_eq!(wrapped("short", 30), ["short"]);
    // A word that fits nowhere is cut later; it costs no empty line.
    let word = format!("10:19:02Z  {}", "x".repeat(50));
    assert_eq!(wrapped(&word, 30).len(), 1);
}

#[test]
fn colours_stand_around_whole_lines() {
    let lines = frame(vec![gone(2, State::Killed)], 0).lines((80, 24), true);
    let killed = lines.iter().find(|line| line.contains("killed")).unwrap();
    assert!(
        killed.starts_with(RED) && killed.ends_with(PLAIN),
        "{killed:?}"
    );
}

fn drawn(screen: &mut Screen, lines: &[&str], size: (u16, u16)) -> String {
    let mut out = Vec::new();
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    screen.draw(lines, size, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn only_what_has_changed_is_drawn_and_the_cursor_comes_back() {
    let mut screen = Screen::default();
    let size = (80, 24);
    let first = drawn(&mut screen, &["a", "b"], size);
    assert_eq!(first, "a\u{1b}[K\r\nb\u{1b}[K\r\n\r\n\u{1b}[1A> ");
    assert_eq!(drawn(&mut screen, &["a", "b"], size), "");
    let second = drawn(&mut screen, &["a", "c"], size);
    assert_eq!(second, "\u{1b}7\u{1b}[2A\r\r\nc\u{1b}[K\r\n\u{1b}8");
    let resized = drawn(&mut screen, &["a", "c"], (60, 24));
    assert!(resized.starts_with("\u{1b}[2J\u{1b}[H"), "{resized:?}");
}

#[test]
fn an_entered_line_makes_room_for_the_next() {
    let mut screen = Screen::default();
    drawn(&mut screen, &["a"], (20, 24));
    let mut out = Vec::new();
    screen.entered("kill 2", &mut out).unwrap();
    assert_eq!(out, b"\x1b[1A\r\x1b[J> ");
    // A line that wrapped moved everything: all is drawn anew.
    out.clear();
    screen
        .entered("a line as long as this one", &mut out)
        .unwrap();
    assert!(out.is_empty());
    assert!(drawn(&mut screen, &["a"], (20, 24)).contains("\u{1b}[2J"));
}
