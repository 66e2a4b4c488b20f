// SPDX-License-Identifier: MIT
pragma solidity ^0.8.37;

/// What go-ethereum's answers are compared over: everything that a call can read, do and die of.
contract Yard {
    uint256 public number; // slot 0
    mapping(uint256 => uint256) public held; // slot 1
    uint256[] public list; // slot 2
    string public text; // slot 3

    event Set(uint256 indexed key, uint256 value);
    event Said(string what);
    event Bare() anonymous;

    error Custom(uint256 code, string why, address who);
    error Plain();

    receive() external payable {}

    function set(uint256 key, uint256 value) public payable returns (uint256 before) {
        before = held[key];
        held[key] = value;
        number += 1;
        emit Set(key, value);
    }

    function fill(uint256 from, uint256 count, uint256 value) external {
        for (uint256 i = 0; i < count; i++) set(from + i, value);
    }

    function sum(uint256 from, uint256 count) external view returns (uint256 total) {
        unchecked {
            for (uint256 i = 0; i < count; i++) total += held[from + i];
        }
    }

    /// Each value is the next key: reads that cannot be guessed.
    function chase(uint256 key, uint256 steps) external view returns (uint256) {
        for (uint256 i = 0; i < steps; i++) key = uint256(keccak256(abi.encode(held[key], key))) % 64;
        return key;
    }

    function push(uint256 value) external returns (uint256) {
        list.push(value);
        return list.length;
    }

    function say(string calldata what) external {
        text = what;
        emit Said(what);
        emit Bare();
    }

    function fail(uint256 how, uint256 n) public payable returns (uint256) {
        if (how == 0) revert();
        if (how == 1) revert("as it was told to");
        if (how == 2) revert Custom(n, "a custom error", msg.sender);
        if (how == 3) revert Plain();
        if (how == 4) assert(n == n + held[n] + 1);
        if (how == 5) return n - type(uint256).max;
        if (how == 6) return n / held[type(uint256).max];
        if (how == 7) return list[n + 1000];
        if (how == 8) revert("");
        if (how == 9) while (true) held[n % 7];
        if (how == 10) assembly { invalid() }
        if (how == 11) assembly { revert(0, mod(n, 500)) }
        if (how == 12) return this.fail(12, n);
        if (how == 13) require(gasleft() > 100000 + (n % 1000000), "more gas");
        if (how == 14) revert(string(abi.encodePacked("code ", uint8(48 + (n % 10)), "\x00\xff\n\"")));
        if (how == 15) { (bool ok, ) = address(this).call(abi.encodeCall(this.fail, (1, n))); return ok ? 1 : 0; }
        return n;
    }

    function environment() external payable returns (uint256[14] memory all) {
        all[0] = block.number;
        all[1] = block.timestamp;
        all[2] = uint160(address(block.coinbase));
        all[3] = block.prevrandao;
        all[4] = block.gaslimit;
        all[5] = block.chainid;
        all[6] = block.basefee;
        all[7] = tx.gasprice;
        all[8] = uint160(tx.origin);
        all[9] = uint160(msg.sender);
        all[10] = msg.value;
        all[11] = address(this).balance;
        all[12] = address(block.coinbase).balance;
        all[13] = msg.sender.balance;
    }

    function blobs(uint256 index) external view returns (uint256, bytes32) {
        return (block.blobbasefee, blobhash(index));
    }

    function left() external view returns (uint256) {
        return gasleft();
    }

    function hashes(uint256 from, uint256 count) external view returns (bytes32 all) {
        for (uint256 i = 0; i < count; i++) all = keccak256(abi.encode(all, blockhash(from + i)));
    }

    function accounts(address[] calldata some) external view returns (uint256[] memory balances, uint256[] memory sizes, bytes32[] memory codes) {
        balances = new uint256[](some.length);
        sizes = new uint256[](some.length);
        codes = new bytes32[](some.length);
        for (uint256 i = 0; i < some.length; i++) {
            balances[i] = some[i].balance;
            sizes[i] = some[i].code.length;
            codes[i] = some[i].codehash;
        }
    }

    function code(address of_) external view returns (bytes memory) {
        return of_.code;
    }

    /// kind: 0 call, 1 staticcall, 2 delegatecall, 3 callcode-like call that does not pass errors on.
    function relay(address to, bytes calldata data, uint256 kind, uint256 value, uint256 gas_) public payable returns (bool ok, bytes memory out) {
        if (gas_ == 0) gas_ = gasleft();
        if (kind == 1) (ok, out) = to.staticcall{gas: gas_}(data);
        else if (kind == 2) (ok, out) = to.delegatecall{gas: gas_}(data);
        else (ok, out) = to.call{gas: gas_, value: value}(data);
        if (!ok && kind != 3) assembly { revert(add(out, 32), mload(out)) }
    }

    function twice(address to, bytes calldata first, bytes calldata second) external payable returns (bytes memory a, bytes memory b) {
        (, a) = relay(to, first, 3, 0, 0);
        (, b) = relay(to, second, 3, 0, 0);
    }

    function make(bytes memory init, uint256 value, uint256 salt) external payable returns (address made, bytes32 hash, uint256 size) {
        if (salt == 0) assembly { made := create(value, add(init, 32), mload(init)) }
        else assembly { made := create2(value, add(init, 32), mload(init), salt) }
        (hash, size) = (made.codehash, made.code.length);
    }

    function end(address payable to) external {
        selfdestruct(to);
    }

    function transient_(uint256 key, uint256 value) external returns (uint256 before, uint256 after_) {
        assembly {
            before := tload(key)
            tstore(key, value)
            after_ := tload(key)
        }
    }

    function burn(uint256 keep) external view returns (uint256 n) {
        while (gasleft() > keep) n++;
    }

    function pay(address payable to, uint256 value) external payable {
        to.transfer(value);
    }

    function logs(uint256 count, uint256 size) external {
        bytes memory data = new bytes(size);
        for (uint256 i = 0; i < count; i++) assembly { log2(add(data, 32), size, i, size) }
    }
}
