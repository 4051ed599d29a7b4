//! What every verb is given.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    api::Api,
    flags::Global,
    home::Home,
    log,
    settings::{Layers, Settings},
};

/// Home and settings.
pub(crate) struct Context {
    /// `$LOTA_HOME`.
    pub(crate) home: Home,
    /// The layers below the verb's own flags.
    pub(crate) layers: Layers,
    /// What a person is told when a signal ends the verb.
    pub(crate) last_words: LastWords,
}

/// What a person is told when a signal ends a verb before its end: what goes on without it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    /// From now on it is this.
    pub(crate) fn set(&self, words: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.into());
    }

    /// What it is.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Context {
    /// Reads the settings and starts the log. `tells_of_slashes`: the log need not.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub(crate) fn load(global: &Global, tells_of_slashes: bool) -> anyhow::Result<Self> {
        let home = Home::find(global.home.clone())?;
        let layers = Layers::load(&home.config_file(), |name| std::env::var_os(name))?
            .flag("--log", "log", global.log.as_ref())
            .flag("--api", "api.url", global.api.as_ref());
        let settings = layers.settings()?;
        let mut filters = settings.log;
        if tells_of_slashes && filters == log::USUAL {
            filters.push_str(",lota_node::slashed=off");
        }
        log::start(&filters, settings.log_format)?;
        Ok(Self { home, layers, last_words: LastWords::default() })
    }

    /// The settings, without the verb's own flags.
    ///
    /// # Errors
    /// When one of them has a bad value.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(self.layers.settings()?)
    }

    /// The daemon.
    ///
    /// # Errors
    /// When none is running.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        Api::find(&self.home, &self.settings()?.api)
    }
}
