// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Grant, IGranter} from "../../src/interfaces/IGranter.sol";

/// @title TestGranter: notes what it is to grant, and behaves as it is told
contract TestGranter is IGranter {
    enum Mood {
        Fine,
        Refuses, // in checkGrant and in grant
        RefusesToGrant,
        SaysNothing, // reverts without data
        BurnsGas,
        ReturnBomb,
        RevertBomb,
        CallsBack // makes its calls, and notes the answers
    }

    Mood public mood;
    uint256 public grants;
    uint256 public gasGiven;
    bytes32 public last; // hash of the last grant
    address public caller;
    address private _target;
    bytes[] private _attempts;
    bytes4[] private _answers;

    error No();

    function set(Mood to) external {
        mood = to;
    }

    function setAttempts(address target, bytes[] calldata attempts) external {
        _target = target;
        for (uint256 i = 0; i < attempts.length; ++i) {
            _attempts.push(attempts[i]);
        }
    }

    function answers() external view returns (bytes4[] memory) {
        return _answers;
    }

    function checkGrant(address, bytes calldata, uint256) external view {
        if (mood == Mood.Refuses) revert No();
    }

    function grant(Grant calldata g) external {
        gasGiven = gasleft();
        if (mood == Mood.Refuses || mood == Mood.RefusesToGrant) revert No();
        if (mood == Mood.BurnsGas) while (true) {}
        assembly {
            function end(asked, success) {
                switch success
                case 0 { revert(0x00, asked) }
                default { return(0x00, asked) }
            }
            switch sload(mood.slot)
            case 3 { end(0, 0) }
            case 6 { end(1000000, 0) }
        }
        for (uint256 i = 0; mood == Mood.CallsBack && i < _attempts.length; ++i) {
            (bool success, bytes memory why) = _target.call(_attempts[i]);
            _answers.push(success ? bytes4(0) : bytes4(why));
        }
        ++grants;
        last = keccak256(abi.encode(g));
        caller = msg.sender;
        if (mood == Mood.ReturnBomb) {
            assembly {
                return(0x00, 1000000)
            }
        }
    }
}
