// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Grant, IGranter} from "../interfaces/IGranter.sol";

/// @title Granter: what all granters have in common, the one contract that may ask them for grants
/// @dev It believes that contract: that a job was blessed, and that it is blessed once.
abstract contract Granter is IGranter {
    /// @notice The blessing contract.
    address public immutable BLESSING;

    /// @notice A grant was made, or what will make it is certain.
    event Granted(
        bytes32 indexed jobId, uint32 round, address indexed provider, bytes recipient, uint256 amount, bytes32 reasons
    );

    /// @notice The blessing contract cannot be the zero address.
    error NoBlessing();
    /// @notice Only the blessing contract grants.
    error NotTheBlessing(address sender);

    constructor(address blessing) {
        if (blessing == address(0)) revert NoBlessing();
        BLESSING = blessing;
    }

    modifier onlyBlessing() {
        if (msg.sender != BLESSING) revert NotTheBlessing(msg.sender);
        _;
    }

    function _emitGranted(Grant calldata g) internal {
        emit Granted(g.jobId, g.round, g.provider, g.recipient, g.amount, g.reasons);
    }
}
