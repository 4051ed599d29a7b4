//! What a `FilecoinPayDeals` must not be deployed with.

use lota_bridge::evm::filecoin_pay_deals::Deployment;

use super::*;

#[test]
fn a_node_does_not_start_with_a_contract_by_whose_settings_it_could_lose_its_pay() {
    let Some(anvil) = Anvil::start(31_337) else { return };
    let world = World::begin(anvil, None);
    let good = Deployment {
        market: world.market,
        callback_gas: 60_000,
        filecoin_pay: world.filecoin_pay,
        token: world.token,
        epoch_seconds: 1,
        grace: 3_600,
    };
    world
        .deploy(&["--grace", "59m"])
        .fails(1, &["no node of this version", "its GRACE is 59m", "at least 1h is needed"]);
    let home = Home::new();
    key(&home, &world.anvil, "node");
    let market = world.market.to_string();
    let start = ["node", "run", "--key", "node", "--rpc", &world.anvil.url, "--contract", &market];
    // Its code is gone again, as with a contract that ends itself in the block of its deployment.
    let gone =
        world.create(&text(&serde_json::from_str(STAND_IN).expect("JSON"), "bytecode").parse().expect("bytecode"));
    for (deployment, parts) in [
        (Deployment { grace: 0, ..good }, ["its GRACE is 0s", "at least 1h is needed"]),
        (Deployment { epoch_seconds: 30, ..good }, ["its EPOCH_SECONDS are 30", "at most 1 are needed"]),
        (Deployment { callback_gas: 1, ..good }, ["its callbackGas is 1,", "at least 60000 is needed"]),
        (Deployment { filecoin_pay: gone, ..good }, ["its FILECOIN_PAY is", "where there is no contract"]),
    ] {
        let contract = world.create(&deployment.code()).to_string();
        if deployment.filecoin_pay == gone {
            world.anvil.call("anvil_setCode", json!([gone, "0x"]));
        }
        std::fs::create_dir_all(home.path()).expect("a folder");
        let settings = format!("[node.filecoin_pay]\ncontract = \"{contract}\"\n");
        std::fs::write(home.path().join("config.toml"), settings).expect("written");
        run(&home, &start).fails(1, &[&[&*contract, "node.filecoin_pay.contract"][..], &parts].concat());
    }
}
