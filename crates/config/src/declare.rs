//! The macro that turns a table of properties into a struct and a list.

/// Declares properties: each line gives the field, its type and default, then Kafka's name, the
/// bounds, the unit, when a change takes effect, what setting it does, the broker properties that
/// it falls back to (topics only), and one line of prose.
///
/// Out come the struct with typed fields, the list `TABLE` of [`Property`](crate::Property), and
/// `read`, which fills the struct from texts that have been checked.
macro_rules! declare_properties {
    (
        $(#[$meta:meta])*
        $vis:vis struct $Struct:ident { table $TABLE:ident }
        $(
            $area:ident {
                $(
                    $field:ident: $ty:ty $(= $default:literal)?, $name:expr,
                    $bounds:expr, $unit:ident, $change:ident, $effect:expr
                    $(, from [$(($fallback:literal, $factor:expr)),*])?;
                    $doc:literal
                )*
            }
        )*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $Struct {
            $($(
                #[doc = concat!("`", $name, "`: ", $doc)]
                pub $field: $ty,
            )*)*
        }

        /// The declarations, in the order of the reference.
        pub(crate) static $TABLE: &[$crate::property::Property] = &[
            $($(
                $crate::property::Property {
                    name: $name,
                    value_type: <$ty as $crate::field::Field>::TYPE,
                    default: $crate::declare::or_unset(&[$($default)?]),
                    bounds: $bounds,
                    unit: $crate::property::Unit::$unit,
                    change: $crate::property::Change::$change,
                    area: $crate::property::Area::$area,
                    effect: $effect,
                    doc: $doc,
                    fallbacks: &[$($(
                        $crate::property::Fallback { name: $fallback, factor: $factor }
                    ),*)?],
                },
            )*)*
        ];

        impl $Struct {
            /// Fills the fields. `text_of` gives the text of a property by name, or nothing for an
            /// unset one; the error is the name of a property whose text is not of its type.
            pub(crate) fn read(
                text_of: &dyn Fn(&$crate::property::Property) -> Option<String>,
            ) -> Result<Self, &'static str> {
                let mut properties = $TABLE.iter();
                $($(
                    let $field = properties
                        .next()
                        .and_then(|property| match text_of(property) {
                            Some(text) => <$ty as $crate::field::Field>::read(&text),
                            None => <$ty as $crate::field::Field>::unset(),
                        })
                        .ok_or($name)?;
                )*)*
                Ok($Struct { $($($field,)*)* })
            }
        }
    };
}

pub(crate) use declare_properties;

/// The default of a declaration: the one text, or unset.
pub(crate) const fn or_unset(default: &[&'static str]) -> Option<&'static str> {
    match default {
        [text, ..] => Some(*text),
        [] => None,
    }
}
