use ottla_wire::messages::describe_configs_response::DescribeConfigsSynonym;

use super::*;

fn known(source: i8, synonyms: &[(&str, &str, i8)]) -> DescribeConfigsResourceResult {
    let synonym = |(name, value, source): &(&str, &str, i8)| DescribeConfigsSynonym {
        name: (*name).into(),
        value: Some((*value).into()),
        source: *source,
        ..DescribeConfigsSynonym::default()
    };
    DescribeConfigsResourceResult {
        name: "retention.ms".into(),
        value: synonyms.first().map(|s| s.1.into()),
        config_source: source,
        synonyms: synonyms.iter().map(synonym).collect(),
        ..DescribeConfigsResourceResult::default()
    }
}

fn changed(value: Option<&str>, known: &DescribeConfigsResourceResult) -> String {
    let change = ConfigChange {
        name: "retention.ms".to_owned(),
        value: value.map(str::to_owned),
    };
    planned(&change, Some(known)).to_string()
}

#[test]
fn an_unset_value_falls_back_to_what_stands_behind_it() {
    let hours = ("log.retention.hours", "168", 5);
    let own = known(1, &[("retention.ms", "5", 1), hours]);
    assert_eq!(changed(Some("7"), &own), "retention.ms: 5 -> 7");
    let fallen = "retention.ms: 5 -> 604800000 (default)";
    assert_eq!(changed(None, &own), fallen);
    let broker = known(
        1,
        &[
            ("retention.ms", "5", 1),
            ("log.retention.ms", "6", 3),
            hours,
        ],
    );
    assert_eq!(
        changed(None, &broker),
        "retention.ms: 5 -> 6 (broker-default)"
    );
    let untold = known(1, &[("retention.ms", "5", 1)]);
    assert_eq!(changed(None, &untold), "retention.ms: 5 -> its default");
}

#[test]
fn a_setting_is_changed_once() {
    let set = [("a".to_owned(), "1".to_owned())];
    assert!(Changes::new(&set, &["b".to_owned()]).is_ok());
    assert!(Changes::new(&set, &["a".to_owned()]).is_err());
}

#[test]
fn hours_are_milliseconds_where_the_setting_is() {
    assert_eq!(
        in_unit_of("retention.ms", "log.retention.hours", "2"),
        "7200000"
    );
    assert_eq!(
        in_unit_of("retention.ms", "log.retention.minutes", "2"),
        "120000"
    );
    assert_eq!(
        in_unit_of("retention.ms", "log.retention.hours", "-1"),
        "-1"
    );
    assert_eq!(
        in_unit_of("log.retention.hours", "log.retention.hours", "2"),
        "2"
    );
}
