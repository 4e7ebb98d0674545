//! Kubernetes' quantities, such as `10Gi`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Whole bytes; `None` for what is no quantity of bytes.
pub(crate) fn bytes(quantity: &Quantity) -> Option<u128> {
    let text = quantity.0.trim();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u128 = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u128.pow(2),
        "G" => 1000_u128.pow(3),
        "T" => 1000_u128.pow(4),
        "P" => 1000_u128.pow(5),
        "E" => 1000_u128.pow(6),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u128 = whole.parse().ok()?;
    let mut total = whole.checked_mul(factor)?;
    let mut scale = factor;
    for digit in part.chars() {
        scale /= 10;
        total = total.checked_add(u128::from(digit.to_digit(10)?) * scale)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_bytes() {
        let of = |text: &str| bytes(&Quantity(text.to_owned()));
        assert_eq!(of("10Gi"), Some(10 << 30));
        assert_eq!(of("1.5Gi"), Some(1_610_612_734));
        assert_eq!(of("10G"), Some(10_000_000_000));
        assert_eq!(of("7"), Some(7));
        assert_eq!(of("7x"), None);
        assert_eq!(of(""), None);
    }
}
