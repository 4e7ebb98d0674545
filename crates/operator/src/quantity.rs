//! Sizes as Kubernetes writes them.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The factors of suffixes; those with `i` come first, since `k` is the end of neither.
const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("m", 0.001),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The bytes of a size, or nothing if it is none. Sizes are compared, not added: the precision of a
/// float is enough.
pub(crate) fn bytes(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.trim();
    let found = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (number, factor) = found.unwrap_or((text, 1.0));
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_kubernetes_does() {
        let read = |text: &str| bytes(&Quantity(text.to_owned()));
        assert_eq!(read("10Gi"), Some(10_737_418_240.0));
        assert_eq!(read("1.5G"), Some(1.5e9));
        assert_eq!(read("1e3"), Some(1000.0));
        assert_eq!(read("500"), Some(500.0));
        for text in ["", "Gi", "-1Gi", "ten", "10GB", "nan", "inf"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
