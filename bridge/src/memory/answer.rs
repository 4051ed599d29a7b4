//! What code did when it was called, and whether there was any, as the log keeps it.

use core::fmt;

use lota_market::world::{End, Script};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// What code did when the market called it, or whether there was code to call. The log keeps a truth value of an answer that is
/// one, and of code that called nobody whether it succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer(pub Script);

impl From<bool> for Answer {
    fn from(accepts: bool) -> Self {
        Self(Script::accepting(accepts))
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0.calls.as_slice(), self.0.end) {
            ([], End::Return) => serializer.serialize_bool(true),
            ([], End::Revert) => serializer.serialize_bool(false),
            _ => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnswerVisitor;

        impl<'de> Visitor<'de> for AnswerVisitor {
            type Value = Answer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a truth value or a script")
            }

            fn visit_bool<E>(self, accepts: bool) -> Result<Answer, E> {
                Ok(accepts.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Answer, A::Error> {
                Script::deserialize(MapAccessDeserializer::new(fields)).map(Answer)
            }
        }

        deserializer.deserialize_any(AnswerVisitor)
    }
}

#[cfg(test)]
mod tests {
    use lota_market::{
        Address, AttoFil,
        model::Command,
        world::{Call, ScriptedCall},
    };

    use super::*;

    #[test]
    fn an_answer_is_a_truth_value_unless_it_says_more() {
        let account = Address::repeat_byte(1);
        let call = Call {
            sender: account,
            contract: Address::repeat_byte(2),
            value: AttoFil(u128::MAX),
            command: Command::Deposit { account }.into(),
        };
        let calls = vec![ScriptedCall { call, may_fail: true }];
        for (script, plain) in [
            (Script::accepting(true), Some(0xf5)),
            (Script::accepting(false), Some(0xf4)),
            (Script::ending(End::OutOfGas), None),
            (Script { calls: calls.clone(), end: End::Return }, None),
            (Script { calls, end: End::Revert }, None),
        ] {
            let bytes = serde_ipld_dagcbor::to_vec(&Answer(script.clone())).expect("encodes");
            assert_eq!(plain.is_some(), bytes.len() == 1, "{script:?}");
            assert!(plain.is_none_or(|byte| bytes == [byte]), "{script:?}: {bytes:?}");
            assert_eq!(serde_ipld_dagcbor::from_slice::<Answer>(&bytes).expect("reads back"), Answer(script));
        }
        assert!(serde_ipld_dagcbor::from_slice::<Answer>(&[0x01]).is_err(), "a number is no answer");
    }
}
