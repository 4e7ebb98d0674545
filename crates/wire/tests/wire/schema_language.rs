//! The schema language: what it understands, and what it says about mistakes.

use std::path::Path;

use crate::parse::parse;
use crate::schema::{Kind, Schema, Type, Versions};

fn read(text: &str) -> Result<Schema, String> {
    let mut schema = Schema::default();
    parse(Path::new("schema/x.schema"), text, &mut schema).map_err(|e| e.to_string())?;
    Ok(schema)
}

#[test]
fn a_block_gives_its_structs_and_the_versions_of_their_fields() {
    let schema = read(
        "record TopicRecord = 2 versions 0-3 flexible 1+ # a comment
    name: string
    configs: [Config]?2+ @1+ tag 4 ignorable = null

        key: string @3+ key
",
    )
    .unwrap();
    let message = &schema.messages[0];
    assert_eq!((message.kind, message.number), (Kind::Record, Some(2)));
    assert_eq!(message.versions, Versions { first: 0, last: 3 });
    assert_eq!(message.flexible_from, Some(1));
    let [record, config] = &message.structs[..] else {
        panic!("two structs are expected")
    };
    assert_eq!(
        (record.name.as_str(), config.name.as_str()),
        ("TopicRecord", "Config")
    );
    assert_eq!(config.versions, Versions { first: 1, last: 3 });
    let configs = &record.fields[1];
    assert_eq!(
        configs.kind,
        Type::Array(Box::new(Type::Struct("Config".into())))
    );
    assert_eq!(configs.nullable, Some(Versions { first: 2, last: 3 }));
    assert_eq!(configs.tag, Some((4, Versions { first: 1, last: 3 })));
    assert_eq!(configs.default.as_deref(), Some("null"));
    assert!(configs.ignorable);
    assert_eq!(config.fields[0].versions, Versions { first: 3, last: 3 });
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    let data = "data X versions 0-1 flexible 1+\n";
    let cases = [
        ("datum X versions 0", "1: 'datum' begins no block"),
        ("data X", "1: lacks 'versions A-B'"),
        (
            "data X versions 0+",
            "1: a message's versions need an end: write 'A-B'",
        ),
        (
            "data X versions one",
            "1: 'one' is no version; write 3, 3-7 or 3+",
        ),
        ("data X versions 3-1", "1: '3-1' ends before it begins"),
        (
            "request versions 0",
            "1: needs a line 'api …' or 'coordinator …' above it",
        ),
        ("record X versions 0", "1: expected '<Name> = <number>'"),
        (
            "api X = 1\nrequest versions 0",
            "2: expected 'listeners broker controller' after 'api'",
        ),
        (
            "\n  x: i8",
            "2: indent by steps of four spaces, without tabs",
        ),
        (
            &format!("{data}        x: i8"),
            "2: is indented too far: the line above has no fields",
        ),
        (&format!("{data}    x i8"), "2: expected 'name: type'"),
        (&format!("{data}    x: int8"), "2: 'int8' is no type"),
        (
            &format!("{data}    x: i8?"),
            "2: x: a scalar cannot be null",
        ),
        (
            &format!("{data}    x: string = null"),
            "2: x is null by default, not nullable",
        ),
        (
            &format!("{data}    x: i8 @2+"),
            "2: '2+' has no version in common with 0-1",
        ),
        (
            &format!("{data}    x: i8 tagged"),
            "2: 'tagged' is not understood",
        ),
        (
            &format!("{data}    x: records? @1+ tag 0"),
            "2: x: records cannot be tagged",
        ),
        (&format!("{data}    x: Y"), "2: struct Y is not defined"),
        (
            "data X versions 0-2 flexible 1+\n    x: i8 @1+ tag 0@1",
            "2: x: a tag goes on to the last version",
        ),
        (
            &format!("{data}    x: i8 tag 0"),
            "2: x: tags exist in flexible versions only",
        ),
        (
            &format!("{data}    x: i8\n        y: i8"),
            "2: has fields but is no struct",
        ),
        (
            &format!("{data}    x: i8 @1+ tag 0\n    y: i8 @1+ tag 0"),
            "3: y: tag 0 is already taken",
        ),
        (
            &format!("{data}    x: i8\n    x: i8"),
            "3: x: a field of this name is above",
        ),
        (
            &format!("{data}    x: Y\n        a: i8\n    z: Y\n        b: i8"),
            "1: struct Y is defined twice",
        ),
    ];
    for (text, expected) in cases {
        match read(text) {
            Err(message) => assert_eq!(message, format!("schema/x.schema:{expected}")),
            Ok(_) => panic!("{text} was accepted"),
        }
    }
}
