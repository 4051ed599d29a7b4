// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";

/// @dev Refuses money.
contract RefusingPayee {
    error No();

    receive() external payable {
        revert No();
    }
}

/// @dev Takes money and returns 100,000 bytes.
contract VerbosePayee {
    receive() external payable {
        assembly {
            return(0, 100000)
        }
    }
}

/// @dev Withdraws again while it is paid; passes the failure on.
contract GreedyPayee {
    ILotaMarket private immutable _MARKET;

    constructor(ILotaMarket market) {
        _MARKET = market;
    }

    function take(uint256 amount) external {
        _MARKET.withdraw(address(this), amount);
    }

    receive() external payable {
        _MARKET.withdraw(address(this), 1);
    }
}
