#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// A name with one common name of the given kind of string.
fn common_name(tag: u8, content: &str) -> Vec<u8> {
    let content = bytes(content);
    let len = u8::try_from(content.len()).unwrap();
    let mut name = vec![0x30, len + 11, 0x31, len + 9, 0x30, len + 7];
    name.extend([0x06, 0x03, 0x55, 0x04, 0x03, tag, len]);
    name.extend(content);
    name
}

/// What `new X500Principal(bytes).getName()` of OpenJDK 17 prints for these names.
#[test]
fn names_are_written_as_java_writes_them() {
    let whole = [
        (
            "305c310b3009060355040613024445310b3009060355040813024245310f300d060355040713064265726c696e31133011060355040a130a41636d652c20496e632e310c300a060355040b1303456e67310c300a060355040313037a6b31",
            r"CN=zk1,OU=Eng,O=Acme\, Inc.,L=Berlin,ST=BE,C=DE",
        ),
        (
            "30493118301606035504070c0f613d622b633c643e653b6622675c68310e300c060355040b1305747261696c310d300b060355040a13046c656164310e300c06035504030c052368617368",
            r#"CN=\#hash,O=lead,OU=trail,L=a\=b\+c\<d\>e\;f\"g\\h"#,
        ),
        (
            "3052310d300b060355040913044d61696e31133011060a0992268993f22c6401191603636f6d31173015060a0992268993f22c64011916076578616d706c6531133011060a0992268993f22c6401011303626f62",
            "UID=bob,DC=example,DC=com,STREET=Main",
        ),
        (
            "303b310b3009060355040513023137310c300a06035504031303626f62311e301c06092a864886f70d010901160f626f62406578616d706c652e636f6d",
            "1.2.840.113549.1.9.1=#160f626f62406578616d706c652e636f6d,CN=bob,2.5.4.5=#13023137",
        ),
        (
            "3029310f300d060355040a0c06e69db1e4baac3116301406035504030c0d4ac3bc7267656e20c39c6e616c",
            "CN=Jürgen Ünal,O=東京",
        ),
        (
            "3022310a3008060355040a1301633114300806035504031301613008060355040b130162",
            "CN=a+OU=b,O=c",
        ),
        ("3000", ""),
    ];
    for (hex, text) in whole {
        assert_eq!(of_name(&bytes(hex)).as_deref(), Some(text), "{hex}");
    }
    let single = [
        (0x16, "612f62", "a/b"),
        (0x14, "61e962", "a\u{fffd}b"),
        (0x1b, "6162", "ab"),
        (0x1a, "6162", "#1a026162"),
        (0x04, "616263", "#0403616263"),
        (0x12, "313233", "#1203313233"),
        (0x1e, "0061", r"\00a"),
        (0x0c, "610d62", "a\rb"),
        (0x0c, "0d6162", "\\\rab"),
        (0x0c, "206162", r"\ ab"),
        (0x0c, "61622020", r"ab\ \ "),
        (0x0c, "2020", r"\ \ "),
        (0x0c, "61202062", "a  b"),
        (0x0c, "c3", "\u{fffd}"),
        (0x0c, "0161", "\u{1}a"),
        (0x0c, "e29d8400f09f9880", "\u{2744}\\00\u{1f600}"),
        (
            0x0c,
            "22612c622b633b643c653e663d67236831",
            r#"\"a\,b\+c\;d\<e\>f\=g\#h1"#,
        ),
    ];
    for (tag, content, text) in single {
        let written = of_name(&common_name(tag, content)).unwrap();
        assert_eq!(written, format!("CN={text}"), "{tag:x} {content}");
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let name = common_name(0x0c, "6162");
    assert!(matches!(subject(&name), Err(Error::Certificate { .. })));
    assert!(matches!(subject(&[]), Err(Error::Certificate { .. })));
    assert_eq!(of_name(&name[..name.len() - 1]), None);
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_name_or_an_error(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = subject(&noise);
        if let Some(name) = of_name(&noise) {
            prop_assert!(name.len() <= noise.len() * 8);
        }
    }

    #[test]
    fn a_damaged_name_ends_in_a_name_or_an_error(at in 0_usize..94, value in any::<u8>()) {
        let mut name = bytes("305c310b3009060355040613024445310b3009060355040813024245310f300d060355040713064265726c696e31133011060355040a130a41636d652c20496e632e310c300a060355040b1303456e67310c300a060355040313037a6b31");
        name[at] = value;
        let _ = of_name(&name);
    }
}
