// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaClient, ILotaMarket} from "./ILotaMarket.sol";

/// @title IFilecoinPayDeals: jobs that are paid from a Filecoin Pay account
/// @notice A contract beside the market that is the client and the matcher of a payer's jobs. At the market they cost nothing; their
/// price is paid by a Filecoin Pay rail from the payer to the provider, so that what a provider earns by computing is volume of
/// that rail. Everything else is the market's: collateral, deadlines, arbiter, results, callbacks.
///
/// The payer approves this contract as an operator at Filecoin Pay and signs an {Order} for each job (EIP-712, or opens it itself). A
/// provider takes the job with its collateral: in the same transaction the price is locked on the rail of the two, or the whole
/// transaction fails. From then on nobody can take that money elsewhere, not the payer either, whatever becomes of its account, its
/// approval and the rail, until the deal's last deadline and the grace after it. When the deal is settled the price is due, and
/// anyone pays it out with `pay`; when it ends otherwise, the payer gets the money back, and what the provider was slashed, too.
///
/// Money: prices in the rails' token, gross: the provider gets 0.5 % less, Filecoin Pay's fee. Collateral in the market's asset.
///
/// Who could cheat whom: a payer may have an empty account, no approval, or a terminated rail: then nobody can take the job, and all that
/// a provider loses is the gas of having tried. A provider who does not deliver is slashed by the market's rules. A payer who
/// orders from itself earns nothing by it but the volume ({BadPair} sees to the plainest case): whether volume is real is not for
/// this contract to say.
///
/// @dev Terms of orders (all else is free): client and matcher are this contract; minPrice and maxPrice are 0; salt's lane is the
/// payer's address, so that the market itself lets each order be opened once, and {revoke} takes back what was signed; callbackGas
/// is at least {callbackGas}; keepRecord is false, as a job that is nominated for a blessing has its shares credited to the client,
/// which is this contract and could not fetch them. The ramp (rampStart, rampPeriod) is that of the order's prices.
///
/// Order of checks: {Reentered}, order, state, sender, time, signature, then the rail's errors, then the market's.
interface IFilecoinPayDeals is ILotaClient {
    /// @notice What a payer asks for.
    /// @param terms the job's terms at the market
    /// @param payer whose Filecoin Pay account pays
    /// @param provider who may take the job; zero: anyone but the payer
    /// @param minPrice price at `terms.rampStart`, at least 1, in the token's smallest unit
    /// @param maxPrice price from `rampStart + rampPeriod` on, below 2^128
    struct Order {
        ILotaMarket.Terms terms;
        address payer;
        address provider;
        uint256 minPrice;
        uint256 maxPrice;
    }

    /// @notice A job that a provider has taken and that has not ended.
    /// @param payer whose account pays
    /// @param collateral what the provider staked, in the market's asset
    /// @param price locked on the rail
    /// @param railId the rail
    struct Deal {
        address payer;
        uint256 collateral;
        uint256 price;
        uint256 railId;
    }

    /// @notice What is wrong with an order, in the order in which it is checked.
    /// Client, Matcher: not this contract. MarketPrice: minPrice or maxPrice of the terms is not 0. CallbackGas: too little for this
    /// contract's callback. KeepRecord: the terms ask for it. Payer: zero. Salt: its lane is not the payer's address. Price: minPrice is 0 or above maxPrice, or
    /// maxPrice is 2^128 or more.
    enum OrderFault {
        Client,
        Matcher,
        MarketPrice,
        CallbackGas,
        KeepRecord,
        Payer,
        Salt,
        Price
    }

    /// @notice The market's token called back into a function that is not a view.
    error Reentered();
    /// @notice The order may not be opened.
    error BadOrder(OrderFault fault);
    /// @notice No such order is open: it was not opened, with these prices and this provider, or was taken or has ended.
    error NotOpen(bytes32 jobId);
    /// @notice No such job is under way here.
    error NotTaken(bytes32 jobId);
    /// @notice `sent` came along as value, and it must be `wanted`: the collateral; nothing where that is a token.
    error WrongValue(uint256 sent, uint256 wanted);
    /// @notice The market is not one, or promises callbacks less gas than this contract's needs.
    error BadSettings();
    /// @notice Only the market calls back.
    error NotTheMarket(address sender);

    /// @notice An order was opened: the market's {ILotaMarket-JobOpened} has its terms.
    event OrderOpened(
        bytes32 indexed jobId, address indexed payer, address indexed provider, uint256 minPrice, uint256 maxPrice
    );
    /// @notice A provider took the job, and `price` is locked on the rail.
    event OrderTaken(
        bytes32 indexed jobId, address indexed payer, address indexed provider, uint256 railId, uint256 price
    );
    /// @notice The job was settled: `price` is due on the rail.
    event PriceDue(bytes32 indexed jobId, uint256 indexed railId, uint256 price);
    /// @notice The job ended without a result that is paid for: `price` is the payer's again, and it is owed `refund` of the
    /// provider's collateral.
    event PriceFreed(bytes32 indexed jobId, uint256 indexed railId, uint256 price, uint256 refund);

    /// @notice Opens the order's job at the market. By the payer, or by anyone with the payer's signature (else `signature` is not
    /// looked at).
    /// @dev {BadOrder}; {ILotaMarket-WrongChain}, {ILotaMarket-BadSignature}; the market's errors of `open`, {ILotaMarket-SaltSpent}
    /// among them. Emits {OrderOpened}.
    function open(Order calldata order, bytes calldata spec, bytes calldata signature) external returns (bytes32 jobId);

    /// @notice Takes an open job: locks the price on the rail and awards the job to the sender, who brings the collateral, as value
    /// or, if the market's asset is a token, by approving this contract.
    /// @dev {NotOpen}; {ILotaMarket-WrongSender} unless the order's provider; {ILotaMarket-TooEarly} before rampStart; the rail's
    /// errors; {WrongValue}; the market's errors of `award`. Emits {OrderTaken}.
    function take(Order calldata order) external payable returns (bytes32 jobId);

    /// @notice {open} and {take} in one step; if the order is open, {take}.
    /// @dev The checks of {open}, the market's among them, and then those of {take}.
    function openAndTake(Order calldata order, bytes calldata spec, bytes calldata signature)
        external
        payable
        returns (bytes32 jobId);

    /// @notice Takes an order that nobody has taken back, by its payer.
    /// @dev {NotOpen}; {ILotaMarket-WrongSender}.
    function cancel(Order calldata order) external;

    /// @notice Accepts a result before the review window has passed, by the payer.
    /// @dev {NotTaken}; {ILotaMarket-WrongSender}; the market's errors of `accept`.
    function accept(ILotaMarket.Terms calldata terms, ILotaMarket.Receipt calldata receipt) external;

    /// @notice Makes the sender's orders with salts of numbers below `upTo` unusable, unless they are open.
    function revoke(uint64 upTo) external;

    /// @notice Pays `to` what the sender is owed of slashed collateral.
    function withdraw(address to) external;

    /// @notice What is signed for an order.
    function orderDigest(Order calldata order) external view returns (bytes32);
    /// @notice The price at `time`: minPrice + (maxPrice - minPrice) * min(time - rampStart, rampPeriod) / rampPeriod, rounded down.
    function priceAt(Order calldata order, uint256 time) external pure returns (uint256);
    /// @notice A job that is under way; zeros when there is none.
    function dealOf(bytes32 jobId) external view returns (Deal memory);
    /// @notice The digest of an open order; zero when there is none.
    function openOrder(bytes32 jobId) external view returns (bytes32 digest);
    /// @notice What {withdraw} pays, in the market's asset.
    function owed(address payer) external view returns (uint256);
    /// @notice The market.
    function market() external view returns (ILotaMarket);
    /// @notice The least `callbackGas` of an order's terms.
    function callbackGas() external view returns (uint32);
}
