//! A question before what cannot be undone.

use std::io::{BufRead as _, Write as _};

use crate::{Error, Streams};

/// Asks a person at a terminal; anything but `y` or `yes` is no. Scripts are not asked.
pub(crate) fn confirm(question: &str, yes: bool, streams: &mut Streams) -> Result<(), Error> {
    if yes || !streams.input_is_terminal {
        return Ok(());
    }
    let _ = write!(streams.err, "{question} [y/N] ");
    let _ = streams.err.flush();
    let mut answer = String::new();
    if let Some(input) = &mut streams.input {
        input
            .read_line(&mut answer)
            .map_err(|source| Error::Stream {
                stream: "cannot read the answer",
                source,
            })?;
    }
    let answer = answer.trim().to_lowercase();
    if answer == "y" || answer == "yes" {
        Ok(())
    } else {
        Err(Error::Declined)
    }
}
