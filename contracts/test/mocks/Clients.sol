// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaClient, ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";

/// @title ScriptedClient: a client contract whose callbacks do as they are told
contract ScriptedClient is ILotaClient {
    enum Mood {
        Fine,
        Revert,
        RevertBomb,
        ReturnBomb,
        BurnGas,
        Invalid,
        Reenter,
        Nothing,
        ReenterAndBurn
    }

    ILotaMarket public immutable MARKET;
    Mood public mood;
    uint256 public calls;
    uint256 public gasSeen;
    bytes public seen; // the last callback's data
    bytes[] public attempts; // what Reenter tries

    bytes4[] public answers;

    error No();

    constructor(ILotaMarket market) {
        MARKET = market;
    }

    receive() external payable {}

    function setMood(Mood to) external {
        mood = to;
    }

    function setAttempts(bytes[] calldata to) external {
        delete attempts;
        for (uint256 i = 0; i < to.length; ++i) {
            attempts.push(to[i]);
        }
    }

    function answersSeen() external view returns (bytes4[] memory) {
        return answers;
    }

    /// @dev The client's own commands.
    function run(bytes calldata data) external payable returns (bytes memory) {
        (bool success, bytes memory returned) = address(MARKET).call{value: msg.value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
        return returned;
    }

    function onJobResult(bytes32, ILotaMarket.Result calldata) external {
        _react(gasleft());
    }

    function onJobFailed(bytes32, ILotaMarket.Reason) external {
        _react(gasleft());
    }

    function _react(uint256 given) private {
        require(msg.sender == address(MARKET), "not the market");
        if (mood == Mood.Nothing) return;
        if (mood == Mood.Revert) revert No();
        if (mood == Mood.BurnGas) while (true) {}
        if (mood == Mood.Invalid) {
            assembly {
                invalid()
            }
        }
        if (mood == Mood.RevertBomb) {
            assembly {
                revert(0, 200000)
            }
        }
        ++calls;
        gasSeen = given;
        seen = msg.data;
        if (mood == Mood.Reenter || mood == Mood.ReenterAndBurn) {
            for (uint256 i = 0; i < attempts.length; ++i) {
                (bool success, bytes memory why) = address(MARKET).call(attempts[i]);
                answers.push(success ? bytes4(0) : bytes4(why));
            }
        }
        if (mood == Mood.ReenterAndBurn) while (true) {}
        if (mood == Mood.ReturnBomb) {
            assembly {
                return(0, 200000)
            }
        }
    }
}

/// @title Gauge: notes how much gas a callback is given, in the cheapest way, and what the market says meanwhile
contract Gauge {
    uint256 public gasSeen;
    uint256 private _needed;
    ILotaMarket private _market;
    ILotaMarket.Deal private _seen;

    error TooLittle();

    function setNeeded(uint256 gas_) external {
        _needed = gas_;
    }

    function watch(ILotaMarket market) external {
        _market = market;
    }

    function dealSeen() external view returns (ILotaMarket.Deal memory) {
        return _seen;
    }

    fallback() external {
        uint256 given = gasleft();
        if (given < _needed) revert TooLittle();
        gasSeen = given;
        if (address(_market) != address(0)) _seen = _market.dealOf(bytes32(msg.data[4:36]));
    }
}
