// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";

contract BlessingDeploymentTest is BlessingTest {
    /// @dev forge's deployCode says only that it failed: so the creation itself.
    function _try(address at, IBlessing.Settings memory s, uint256 count, uint32 quorum)
        private
        returns (bytes memory)
    {
        bytes memory code = bytes.concat(vm.getCode("Blessing.sol:Blessing"), abi.encode(at, s, _list(count), quorum));
        address made;
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
        }
        if (made != address(0)) return "";
        bytes memory why;
        assembly ("memory-safe") {
            why := mload(0x40)
            mstore(why, returndatasize())
            returndatacopy(add(why, 0x20), 0, returndatasize())
            mstore(0x40, add(why, add(0x40, returndatasize())))
        }
        return why;
    }

    function _bad(IBlessing.DeploymentFault fault) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IBlessing.BadDeployment.selector, fault);
    }

    function test_WhenAllIsWell() external view {
        assertEq(address(blessing.market()), address(market));
        assertEq(abi.encode(blessing.settings()), abi.encode(_blessingSettings()));
        (address[] memory list, uint32 quorum, uint32 version) = blessing.notaries();
        assertEq(abi.encode(list), abi.encode(_list(3)));
        assertEq(uint256(quorum) * 10 + version, 21);
    }

    function test_WhenTheMarketIsNone() external {
        assertEq(_try(stranger.addr, _blessingSettings(), 3, 2), _bad(IBlessing.DeploymentFault.Market));
        vm.chainId(1); // the market computes ids of the chain that it was deployed on
        assertEq(_try(address(market), _blessingSettings(), 3, 2), _bad(IBlessing.DeploymentFault.Market));
    }

    function test_WhenAPeriodIsZeroOrTooLong() external {
        uint32[2] memory wrong = [uint32(0), 365 days + 1];
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 which = 0; which < 4; ++which) {
                IBlessing.Settings memory s = _blessingSettings();
                if (which == 0) s.voteFor = wrong[i];
                if (which == 1) s.revokeFor = wrong[i];
                if (which == 2) s.grantFor = wrong[i];
                if (which == 3) s.limitPeriod = wrong[i];
                assertEq(_try(address(market), s, 3, 2), _bad(IBlessing.DeploymentFault.Period));
            }
        }
        IBlessing.Settings memory longest = _blessingSettings();
        (longest.voteFor, longest.revokeFor, longest.grantFor, longest.limitPeriod) = (365 days, 365 days, 365 days, 1);
        assertEq(_try(address(market), longest, 3, 2), "");
    }

    function test_WhenTheTimeToGrantIsNotLongerThanThePeriodOfTheLimits() external {
        IBlessing.Settings memory s = _blessingSettings();
        (s.grantFor, s.limitPeriod) = (7 days, 30 days);
        assertEq(_try(address(market), s, 3, 2), _bad(IBlessing.DeploymentFault.Period));
        s.limitPeriod = s.grantFor;
        assertEq(_try(address(market), s, 3, 2), _bad(IBlessing.DeploymentFault.Period));
        s.limitPeriod = s.grantFor - 1;
        assertEq(_try(address(market), s, 3, 2), "");
    }

    function test_WhenAGranterGetsNoGas() external {
        IBlessing.Settings memory s = _blessingSettings();
        s.granterGas = 0;
        assertEq(_try(address(market), s, 3, 2), _bad(IBlessing.DeploymentFault.GranterGas));
    }

    function test_WhenNobodyCanHaveSuchNotaries() external {
        bytes memory wanted = abi.encodeWithSelector(IBlessing.BadNotaries.selector, IBlessing.NotariesFault.Quorum);
        assertEq(_try(address(market), _blessingSettings(), 3, 4), wanted);
    }
}
