// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";

/// @dev Deploys it: an error of a constructor is expected from a call of this.
contract Deployer {
    function deploy(bytes memory code) external returns (address deployed) {
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
            if iszero(deployed) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}

contract AuctionDeploymentTest is AuctionTest {
    Deployer private deployer;

    function setUp() public override {
        super.setUp();
        deployer = new Deployer();
    }

    function _deployAt(address at, uint32 period) private returns (ISealedBidAuction) {
        bytes memory code = vm.getCode("SealedBidAuction.sol:SealedBidAuction");
        return ISealedBidAuction(deployer.deploy(bytes.concat(code, abi.encode(at, period))));
    }

    function _expectBad(address at, uint32 period) private {
        vm.expectRevert(abi.encodeWithSelector(ISealedBidAuction.BadSettings.selector, at, period));
    }

    function test_RevertWhen_ThereIsNoCodeAtTheMarket() external {
        _expectBad(stranger.addr, 60);
        _deployAt(stranger.addr, 60);
        _expectBad(address(0), 60);
        _deployAt(address(0), 60);
    }

    function test_RevertWhen_TheMarketIsSomethingElse() external {
        vm.expectRevert(bytes(""));
        _deployAt(address(auction), 60);
    }

    function test_RevertWhen_TheMarketComputesOtherIds() external {
        vm.chainId(5); // the market was deployed before the chain parted
        _expectBad(address(market), 60);
        _deployAt(address(market), 60);
    }

    function test_RevertWhen_TheRevealPeriodIsZero() external {
        _expectBad(address(market), 0);
        _deployAt(address(market), 0);
    }

    function test_RevertWhen_TheRevealPeriodIsAboveNinetyDays() external {
        _expectBad(address(market), 90 days + 1);
        _deployAt(address(market), 90 days + 1);
    }

    function test_WhenAllIsWell() external {
        ISealedBidAuction found = _deployAt(address(market), 90 days);
        assertEq(address(found.market()), address(market));
        assertEq(found.minRevealPeriod(), 90 days);
        assertEq(_deployAt(address(market), 1).minRevealPeriod(), 1);
        assertEq(auction.minRevealPeriod(), MIN_REVEAL_PERIOD);
        assertEq(auction.burned(), 0);
    }
}
