// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {Granter} from "../abstracts/Granter.sol";
import {Grant, IGranter} from "../interfaces/IGranter.sol";
import {FilecoinAddress} from "../libraries/FilecoinAddress.sol";

/// @title RequestOnlyGranter: grants nothing, and says what another notary is asked to grant
/// @notice For whom we are not the notary: the request is an event with all that was voted on, which whoever serves another notary
/// carries there. The amount is in that notary's unit, for DataCap in bytes.
contract RequestOnlyGranter is Granter {
    /// @notice Another notary is asked for this.
    event GrantRequested(bytes32 indexed jobId, address indexed provider, Grant grant);

    /// @notice Nobody can be asked for nothing.
    error NoAmount();

    constructor(address blessing) Granter(blessing) {}

    /// @inheritdoc IGranter
    /// @dev {FilecoinAddress-BadRecipient}, {NoAmount}.
    function checkGrant(address, bytes calldata recipient, uint256 amount) public pure {
        FilecoinAddress.toFilecoin(recipient);
        if (amount == 0) revert NoAmount();
    }

    /// @inheritdoc IGranter
    /// @dev {NotTheBlessing}, then as {checkGrant}. Emits {GrantRequested}, and not {Granted}: nothing was.
    function grant(Grant calldata g) external onlyBlessing {
        checkGrant(g.provider, g.recipient, g.amount);
        emit GrantRequested(g.jobId, g.provider, g);
    }
}
