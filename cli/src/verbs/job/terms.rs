//! The terms of a job as flags.

use clap::Args;
use lota_api::TermsRequest;
use lota_market::{Address, asset::Asset};

use crate::{
    api::Api,
    context::Context,
    failure::Usage,
    settings::{self, Layers},
    units::{Amount, Seconds},
};

/// What a client offers and asks. What is left out is the settings' or the daemon's default.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Terms")]
pub(crate) struct TermFlags {
    /// The most that you pay: `0.1 FIL`, `20 gwei`; a limit and no bid, so that naming more costs no more [default: 0.1 FIL]
    #[arg(long, value_name = "AMOUNT")]
    max_price: Option<Amount>,
    /// The price at first; it rises slowly, until a provider takes the job [default: the lowest ask]
    #[arg(long, value_name = "AMOUNT")]
    min_price: Option<Amount>,
    /// How long the price rises; if you name it, it rises up to the highest price [default: 3/4 of the time to take the job]
    #[arg(long, value_name = "TIME")]
    ramp_period: Option<Seconds>,
    /// How long providers may take the job; then the escrow comes back [default: 2m, more where blocks are slow]
    #[arg(long, value_name = "TIME")]
    lock_for: Option<Seconds>,
    /// How long the provider may take from then to the result; if it takes longer, it is slashed [default: the job's wall time + 1m, more where blocks are slow]
    #[arg(long, value_name = "TIME")]
    run_for: Option<Seconds>,
    /// How long an arbiter may dispute the result; jobs have none yet, so that nothing but 0s is taken [default: 0s]
    #[arg(long, value_name = "TIME")]
    review_for: Option<Seconds>,
    /// The collateral that the provider puts up, and loses if it does not deliver [default: 0.05 FIL]
    #[arg(long, value_name = "AMOUNT")]
    collateral: Option<Amount>,
    /// The one provider that may take the job, by its address; the price is then fixed: what it asks, if that is known, else the
    /// highest price. Only it can cancel the job [default: any provider]
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["min_price", "ramp_period", "auction"])]
    provider: Option<Address>,
    /// Have providers bid for the job, in sealed bids: the lowest gets it, and is paid the second-lowest; then --ramp-period is
    /// how long bids are opened, and --lock-for how long all of it takes; on a chain the node must know an auction
    #[arg(long)]
    auction: bool,
    /// Have the market keep for ever how the job ended (keepRecord), so that notaries can bless it
    #[arg(long)]
    bless: bool,
}

impl TermFlags {
    /// The context's layers with these flags on top.
    pub(crate) fn over(&self, context: &Context) -> Layers {
        context
            .layers
            .clone()
            .flag("--max-price", "job.max_price", self.max_price.as_ref())
            .flag("--min-price", "job.min_price", self.min_price.as_ref())
            .flag("--ramp-period", "job.ramp_period", self.ramp_period.as_ref())
            .flag("--lock-for", "job.lock_for", self.lock_for.as_ref())
            .flag("--run-for", "job.run_for", self.run_for.as_ref())
            .flag("--review-for", "job.review_for", self.review_for.as_ref())
            .flag("--collateral", "job.collateral", self.collateral.as_ref())
            .flag("--auction", "job.auction", self.auction.then_some(&true))
    }

    /// The flags alone as terms.
    ///
    /// # Errors
    /// As [`terms_of`].
    pub(crate) fn terms(&self, asset: &Asset) -> Result<TermsRequest, Usage> {
        let job = settings::Job {
            max_price: self.max_price.clone(),
            min_price: self.min_price.clone(),
            ramp_period: self.ramp_period,
            lock_for: self.lock_for,
            run_for: self.run_for,
            review_for: self.review_for,
            collateral: self.collateral.clone(),
            auction: self.auction.then_some(true),
            ..settings::Job::default()
        };
        Ok(self.directed(terms_of(&job, asset)?))
    }

    /// What the market's amounts are in, if one of the flags is an amount.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub(crate) async fn asset(&self, api: &Api) -> anyhow::Result<Option<Asset>> {
        let Self { max_price, min_price, collateral, .. } = self.clone();
        asset_of_amounts(api, &settings::Job { max_price, min_price, collateral, ..settings::Job::default() }).await
    }

    /// These terms, directed to the provider that the flags name, if they name one, and blessable if they say so.
    pub(crate) fn directed(&self, terms: TermsRequest) -> TermsRequest {
        let bless = self.bless.then_some(true);
        over(TermsRequest { provider: self.provider, bless, ..TermsRequest::default() }, terms)
    }
}

/// What the market's amounts are in, if the settings name an amount: what it is depends on that.
///
/// # Errors
/// When the daemon does not answer.
pub(crate) async fn asset_of_amounts(api: &Api, job: &settings::Job) -> anyhow::Result<Option<Asset>> {
    if [&job.max_price, &job.min_price, &job.collateral].iter().all(|amount| amount.is_none()) {
        return Ok(None);
    }
    api.asset().await.map(Some)
}

/// The terms that settings name.
///
/// # Errors
/// [`Usage`] when an amount is none of the market's asset, when a window is longer than any market allows, or is one for a review that nobody makes.
pub(crate) fn terms_of(job: &settings::Job, asset: &Asset) -> Result<TermsRequest, Usage> {
    job.terms(asset).map_err(|error| Usage(error.to_string()))
}

/// `above`, and where it says nothing `below`; but for how a price rises, if it is directed to one provider: then it does not.
pub(crate) fn over(above: TermsRequest, below: TermsRequest) -> TermsRequest {
    let rises = above.provider.is_none();
    let below = TermsRequest {
        min_price: below.min_price.filter(|_| rises),
        ramp_period: below.ramp_period.filter(|_| rises),
        ..below
    };
    TermsRequest {
        min_price: above.min_price.or(below.min_price),
        max_price: above.max_price.or(below.max_price),
        ramp_period: above.ramp_period.or(below.ramp_period),
        lock_for: above.lock_for.or(below.lock_for),
        run_for: above.run_for.or(below.run_for),
        review_for: above.review_for.or(below.review_for),
        collateral: above.collateral.or(below.collateral),
        provider: above.provider.or(below.provider),
        auction: above.auction.or(below.auction),
        bless: above.bless.or(below.bless),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;
    use crate::settings::left_to_daemon;

    #[test]
    fn a_review_without_an_arbiter_is_refused_in_one_line() {
        let with = |review_for| settings::Job { review_for, ..settings::Job::default() };
        let error = terms_of(&with(Some(Seconds(36_000))), &Asset::coin()).expect_err("nobody reviews it").to_string();
        assert!(error.starts_with("job.review_for is 10h, but these jobs have no arbiter"), "{error}");
        assert!(!error.contains('\n'), "{error}");
        for window in [None, Some(Seconds(0))] {
            assert!(terms_of(&with(window), &Asset::coin()).is_ok());
        }
    }

    #[test]
    fn what_says_how_a_price_rises_does_not_go_with_one_provider() {
        let settings = TermsRequest {
            min_price: Some(lota_market::AttoFil(1)),
            ramp_period: Some(7),
            lock_for: Some(60),
            ..TermsRequest::default()
        };
        let provider = Some(Address::repeat_byte(7));
        let directed = over(TermsRequest { provider, ..TermsRequest::default() }, settings.clone());
        assert_eq!((directed.min_price, directed.ramp_period), (None, None));
        assert_eq!((directed.lock_for, directed.provider), (Some(60), provider));
        let free = over(TermsRequest::default(), settings);
        assert_eq!((free.ramp_period, free.provider), (Some(7), None));
    }

    #[test]
    fn a_job_is_blessable_if_the_flag_or_the_file_says_so() {
        let of = |flags: &[&str], bless| {
            let command = TermFlags::augment_args(Command::new("lota"));
            let matches = command.try_get_matches_from([&["lota"], flags].concat()).expect("such flags");
            let flags = <TermFlags as clap::FromArgMatches>::from_arg_matches(&matches).expect("such flags");
            flags.directed(TermsRequest { bless, ..TermsRequest::default() }).bless
        };
        assert_eq!(of(&[], None), None);
        assert_eq!(of(&["--bless"], None), Some(true));
        assert_eq!(of(&["--bless"], Some(false)), Some(true));
        assert_eq!(of(&[], Some(true)), Some(true));
    }

    #[test]
    fn the_help_names_the_defaults() {
        let command = TermFlags::augment_args(Command::new("lota"));
        for flag in ["max_price", "min_price", "ramp_period", "lock_for", "run_for", "review_for", "collateral"] {
            let key = format!("job.{flag}");
            let default = left_to_daemon(&key).expect("it has a default");
            // What a default follows from has a name for people there.
            let value = match default.split_once(" of job.").or_else(|| default.split_once("job.wall_time")) {
                Some(("", margin)) => margin,
                Some((share, _)) => share,
                None => &default,
            };
            let help = command
                .get_arguments()
                .find(|argument| argument.get_id() == flag)
                .and_then(|argument| argument.get_help())
                .expect("it has a help text")
                .to_string();
            let (_, told) = help.split_once("[default: ").expect("its help names the default");
            assert!(told.contains(value), "{flag}: {told} instead of {value}");
        }
    }
}
