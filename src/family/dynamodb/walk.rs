//! An item's protobuf as a stream, for values too long for memory: attributes are told as they come, strings as spans
//! of the value (`docs/format/dynamodb.md` section 1.7). What comes later may replace what came before; putting that
//! together is left to the visitor.

use std::convert::Infallible;
use std::io;

use super::item::MAX_DEPTH;
use super::malformed::Malformed;
use crate::family::wire::{Content, Source, Span, Wire, WireError};

const NAME: &str = "an item";

/// Messages that a value may nest: those of a legal item, and some more that later ones may replace.
const MAX_MESSAGES: usize = 3 * MAX_DEPTH + 4;

/// The types of attributes, by their field numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string.
    S,
    /// A number, as text.
    N,
    /// Bytes.
    B,
    /// A boolean.
    Bool,
    /// Nothing.
    Null,
    /// A set of strings.
    Ss,
    /// A set of numbers.
    Ns,
    /// A set of bytes.
    Bs,
    /// A list.
    L,
    /// A map.
    M,
}

impl Type {
    /// All types, in the order of their field numbers, which begin at 1.
    pub const ALL: [Self; 10] =
        [Self::S, Self::N, Self::B, Self::Bool, Self::Null, Self::Ss, Self::Ns, Self::Bs, Self::L, Self::M];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::Ss => "SS",
            Self::Ns => "NS",
            Self::Bs => "BS",
            Self::L => "L",
            Self::M => "M",
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    fn from_field(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }
}

/// What is known of an attribute once it has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Its type; `None` if it has no value.
    pub of: Option<Type>,
    /// The bytes of an S, N or B.
    pub span: Span,
    /// The value of a BOOL or NULL.
    pub flag: bool,
    /// The container that holds the elements of a set, list or map.
    pub container: i64,
    /// Elements of a set or list so far.
    elements: u64,
}

/// Takes what a walk finds.
pub trait Visit {
    /// Why it would end the walk.
    type Error;

    /// A new container.
    fn container(&mut self) -> i64;

    /// A text, which is to be UTF-8.
    ///
    /// # Errors
    /// It is not, which is `false`, or cannot be read.
    fn is_utf8(&mut self, text: Span) -> Result<bool, Self::Error>;

    /// A member of a map, or of the item; it replaces an earlier one of the same name.
    ///
    /// # Errors
    /// What ends the walk.
    fn member(&mut self, container: i64, name: Span, attribute: &Attribute) -> Result<(), Self::Error>;

    /// An element of a list or set.
    ///
    /// # Errors
    /// What ends the walk.
    fn element(&mut self, container: i64, ordinal: u64, attribute: &Attribute) -> Result<(), Self::Error>;
}

/// Why a walk ended early.
#[derive(Debug)]
pub enum WalkError<E> {
    /// The value breaks a rule.
    Malformed(Malformed),
    /// The value could not be read.
    Io(io::Error),
    /// The visitor ended it.
    Visitor(E),
}

impl<E> From<WireError> for WalkError<E> {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Malformed => Self::Malformed(Malformed::Protobuf(NAME)),
            WireError::Io(error) => Self::Io(error),
        }
    }
}

/// Walks the message of an item, and returns the container of its attributes.
///
/// # Errors
/// The rule that the value breaks, a failed read, or what the visitor says.
pub fn walk<S: Source, V: Visit>(wire: &mut Wire<S>, visit: &mut V) -> Result<i64, WalkError<V::Error>> {
    let container = visit.container();
    Walk { visit }.members(wire, container, 0)?;
    Ok(container)
}

/// Checks a message in memory before it is decoded: the decoder does not say which rule is broken, and takes an entry
/// of a map whatever its wire type.
///
/// # Errors
/// The rule that the message breaks.
pub fn check(message: &[u8]) -> Result<(), Malformed> {
    struct OnlyTexts<'a>(&'a [u8]);
    impl Visit for OnlyTexts<'_> {
        type Error = Infallible;
        fn container(&mut self) -> i64 {
            0
        }
        fn is_utf8(&mut self, text: Span) -> Result<bool, Infallible> {
            Ok(str::from_utf8(text.of(self.0)).is_ok())
        }
        fn member(&mut self, _: i64, _: Span, _: &Attribute) -> Result<(), Infallible> {
            Ok(())
        }
        fn element(&mut self, _: i64, _: u64, _: &Attribute) -> Result<(), Infallible> {
            Ok(())
        }
    }
    match walk(&mut Wire::new(message, 0, message.len() as u64), &mut OnlyTexts(message)) {
        Ok(_) => Ok(()),
        Err(WalkError::Malformed(rule)) => Err(rule),
        // Memory can be read, and this visitor refuses nothing.
        Err(WalkError::Io(_)) => Err(Malformed::Protobuf(NAME)),
        Err(WalkError::Visitor(never)) => match never {},
    }
}

struct Walk<'v, V> {
    visit: &'v mut V,
}

type Walked<V> = Result<(), WalkError<<V as Visit>::Error>>;

impl<V: Visit> Walk<'_, V> {
    /// The members of a map: messages in field 1.
    fn members<S: Source>(&mut self, wire: &mut Wire<S>, container: i64, messages: usize) -> Walked<V> {
        while let Some((number, content)) = wire.field()? {
            match (number, content) {
                (1, Content::Delimited(length)) => {
                    let messages = deeper(messages)?;
                    wire.message(length, |wire| self.member(wire, container, messages))?;
                }
                (1, _) => return Err(WireError::Malformed.into()),
                (_, content) => skip(wire, content)?,
            }
        }
        Ok(())
    }

    /// Name in field 1, attribute in field 2.
    fn member<S: Source>(&mut self, wire: &mut Wire<S>, container: i64, messages: usize) -> Walked<V> {
        let (mut name, mut attribute) = <(Span, Attribute)>::default();
        while let Some((number, content)) = wire.field()? {
            match (number, content) {
                (1, Content::Delimited(length)) => name = self.text(wire, length)?,
                (2, Content::Delimited(length)) => {
                    let messages = deeper(messages)?;
                    wire.message(length, |wire| self.attribute(wire, &mut attribute, messages))?;
                }
                (1 | 2, _) => return Err(WireError::Malformed.into()),
                (_, content) => skip(wire, content)?,
            }
        }
        self.visit.member(container, name, &attribute).map_err(WalkError::Visitor)
    }

    /// One of the ten fields. A container met twice in a row is the same one; anything else replaces what was there.
    fn attribute<S: Source>(
        &mut self,
        wire: &mut Wire<S>,
        attribute: &mut Attribute,
        messages: usize,
    ) -> Walked<V> {
        while let Some((number, content)) = wire.field()? {
            let Some(of) = Type::from_field(number) else {
                skip(wire, content)?;
                continue;
            };
            match (of, content) {
                (Type::S | Type::N, Content::Delimited(length)) => {
                    let span = self.text(wire, length)?;
                    *attribute = Attribute { of: Some(of), span, ..Attribute::default() };
                }
                (Type::B, Content::Delimited(length)) => {
                    let span = wire.string(length)?;
                    *attribute = Attribute { of: Some(of), span, ..Attribute::default() };
                }
                (Type::Bool | Type::Null, Content::Varint(number)) => {
                    *attribute = Attribute { of: Some(of), flag: number != 0, ..Attribute::default() };
                }
                (Type::Ss | Type::Ns | Type::Bs | Type::L | Type::M, Content::Delimited(length)) => {
                    if attribute.of != Some(of) {
                        let container = self.visit.container();
                        *attribute = Attribute { of: Some(of), container, ..Attribute::default() };
                    }
                    let messages = deeper(messages)?;
                    wire.message(length, |wire| match of {
                        Type::M => self.members(wire, attribute.container, messages),
                        _ => self.elements(wire, of, attribute, messages),
                    })?;
                }
                _ => return Err(WireError::Malformed.into()),
            }
        }
        Ok(())
    }

    /// The elements of a set or list: field 1, again and again.
    fn elements<S: Source>(
        &mut self,
        wire: &mut Wire<S>,
        of: Type,
        attribute: &mut Attribute,
        messages: usize,
    ) -> Walked<V> {
        while let Some((number, content)) = wire.field()? {
            let length = match (number, content) {
                (1, Content::Delimited(length)) => length,
                (1, _) => return Err(WireError::Malformed.into()),
                (_, content) => {
                    skip(wire, content)?;
                    continue;
                }
            };
            let mut element = Attribute::default();
            match of {
                Type::L => {
                    let messages = deeper(messages)?;
                    wire.message(length, |wire| self.attribute(wire, &mut element, messages))?;
                }
                Type::Bs => element = Attribute { of: Some(Type::B), span: wire.string(length)?, ..element },
                _ => {
                    let of = if of == Type::Ns { Type::N } else { Type::S };
                    element = Attribute { of: Some(of), span: self.text(wire, length)?, ..element };
                }
            }
            self.visit
                .element(attribute.container, attribute.elements, &element)
                .map_err(WalkError::Visitor)?;
            attribute.elements += 1;
        }
        Ok(())
    }

    fn text<S: Source>(&mut self, wire: &mut Wire<S>, length: u64) -> Result<Span, WalkError<V::Error>> {
        let span = wire.string(length)?;
        if self.visit.is_utf8(span).map_err(WalkError::Visitor)? {
            Ok(span)
        } else {
            Err(WalkError::Malformed(Malformed::NotUtf8(NAME)))
        }
    }
}

fn deeper<E>(messages: usize) -> Result<usize, WalkError<E>> {
    if messages < MAX_MESSAGES { Ok(messages + 1) } else { Err(WalkError::Malformed(Malformed::Depth)) }
}

/// Unknown fields are passed over.
fn skip<S: Source>(wire: &mut Wire<S>, content: Content) -> Result<(), WireError> {
    if let Content::Delimited(length) = content {
        wire.string(length)?;
    }
    Ok(())
}
