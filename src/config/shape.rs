//! What the file may hold, learnt from the structs in [`raw`](super::raw) by asking serde.
//!
//! The structs stay the only statement of which keys exist; the reader, the environment and the tests of the
//! documentation all ask the shape.

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::Error},
    forward_to_deserialize_any,
};

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Shape {
    /// A table with known keys.
    Table(Table),
    /// A table whose keys are names that the operator gives.
    Named(Box<Shape>),
    List(Box<Shape>),
    #[default]
    Text,
    /// A text such as `5m`.
    Span,
    Whole,
    Number,
    Flag,
    /// An id, which some write as a text and some as a number.
    TextOrWhole,
}

/// The keys of one table, in the order of its struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// The name of its struct.
    pub name: &'static str,
    pub fields: Vec<(&'static str, Shape)>,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Shape> {
        self.fields.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|(name, _)| *name)
    }
}

impl Shape {
    /// Asks `T` what it would take. `T` must take every empty value; the structs in `raw` do.
    pub(super) fn of<T: DeserializeOwned>() -> Shape {
        let mut shape = Shape::default();
        T::deserialize(Probe(&mut shape)).expect("every raw struct takes empty values");
        shape
    }

    /// Says in words what the value must be.
    pub(super) fn wanted(&self) -> &'static str {
        match self {
            Shape::Table(_) | Shape::Named(_) => "a table",
            Shape::List(_) => "a list in `[ ]`",
            Shape::Text => "a text in quotes",
            Shape::Span => "a time span in quotes, such as `\"30s\"`",
            Shape::Whole => "a whole number",
            Shape::Number => "a number",
            Shape::Flag => "`true` or `false`",
            Shape::TextOrWhole => "a text in quotes or a whole number",
        }
    }

    /// Whether it is the place of a secret, so that nothing of its value may be shown.
    pub(super) fn is_secret(&self) -> bool {
        match self {
            Shape::Table(table) => table.name == "Secret",
            Shape::List(each) => each.is_secret(),
            Shape::Named(_)
            | Shape::Text
            | Shape::Span
            | Shape::Whole
            | Shape::Number
            | Shape::Flag
            | Shape::TextOrWhole => false,
        }
    }
}

/// Answers every question of a `Deserialize` with an empty value, and notes what was asked.
struct Probe<'a>(&'a mut Shape);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        *self.0 = Shape::TextOrWhole;
        visitor.visit_str("")
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        *self.0 = Shape::Text;
        visitor.visit_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        *self.0 = Shape::Whole;
        visitor.visit_i64(0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        *self.0 = Shape::Number;
        visitor.visit_f64(0.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        *self.0 = Shape::Flag;
        visitor.visit_bool(false)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = visitor.visit_newtype_struct(Probe(&mut *self.0));
        if name == "Span" {
            *self.0 = Shape::Span;
        }
        value
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut each = Shape::default();
        let value = visitor.visit_seq(Once(Some(&mut each)));
        *self.0 = Shape::List(Box::new(each));
        value
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut fields = Fields { names: &["*"], found: Vec::new() };
        let value = visitor.visit_map(&mut fields);
        let each = fields.found.pop().map(|(_, shape)| shape).unwrap_or_default();
        *self.0 = Shape::Named(Box::new(each));
        value
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut fields = Fields { names, found: Vec::new() };
        let value = visitor.visit_map(&mut fields);
        *self.0 = Shape::Table(Table { name, fields: fields.found });
        value
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct enum
        identifier ignored_any
    }
}

/// One element, then the end.
struct Once<'a>(Option<&'a mut Shape>);

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|shape| seed.deserialize(Probe(shape))).transpose()
    }
}

/// Every key once.
struct Fields {
    names: &'static [&'static str],
    found: Vec<(&'static str, Shape)>,
}

impl<'de> MapAccess<'de> for &mut Fields {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let next = self.names.get(self.found.len());
        next.map(|name| seed.deserialize((*name).into_deserializer())).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let mut shape = Shape::default();
        let value = seed.deserialize(Probe(&mut shape));
        self.found.push((self.names[self.found.len()], shape));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw;

    fn at<'s>(shape: &'s Shape, path: &str) -> &'s Shape {
        path.split('.').fold(shape, |shape, key| match shape {
            Shape::Table(table) => table.get(key).unwrap_or_else(|| panic!("no `{key}`")),
            Shape::Named(each) | Shape::List(each) => each,
            Shape::Text | Shape::Span | Shape::Whole | Shape::Number | Shape::Flag | Shape::TextOrWhole => {
                panic!("`{key}` below a single value")
            }
        })
    }

    #[test]
    fn the_structs_tell_their_keys_and_kinds() {
        let shape = Shape::of::<raw::File>();
        for (path, want) in [
            ("mode", Shape::Text),
            ("web.body_max_bytes", Shape::Whole),
            ("web.answer_within", Shape::Span),
            ("mapping.trim", Shape::Flag),
            ("mapping.strip_prefixes", Shape::List(Box::new(Shape::Text))),
            ("mapping.table.*.variant", Shape::TextOrWhole),
            ("channels.amazon.*.rates.search_orders.per_second", Shape::Number),
        ] {
            assert_eq!(*at(&shape, path), want, "{path}");
        }
        assert!(at(&shape, "channels.shopify.*.access_token").is_secret());
        assert!(at(&shape, "channels.shopify.*.webhook_secrets").is_secret());
    }
}
