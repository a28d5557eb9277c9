-- A ledger as schema version 1 wrote it: one open operation, two retired ones (one mark dropped).
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE operation(
  no INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  identity BLOB NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last INTEGER NOT NULL,
  scope TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  target TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
INSERT INTO operation VALUES(2,X'00000000000000000000000000000002',X'7e26abcd0c6cabc92fedc06fc5b5d92e',1,1800000000000,NULL,7,'default','write','open','docs','{"fp":"0wo2WS+ZvwTpV+8/LKQDoLwinc6QsrH2Pj82tj1Im7U=","def":"write@1","actor":"test","deadline":1800000900000,"retention":60000,"attempts":1,"counted":1,"due":"report","due_at":1800000060000,"events":2,"updated":1800000000000,"artifacts":[{"m":{"p":"open.md","h":"I0j5mHRCElddhZWWdPlgerJvZ3CKkXFXRygyOGM3yQQ=","n":4}}]}');
CREATE TABLE intent(no INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
INSERT INTO intent VALUES(2,'{"artifacts":[{"content":"open","path":"open.md"}],"target":"docs"}');
CREATE TABLE record(
  sequence INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  previous INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body TEXT,
  digest BLOB
) STRICT;
INSERT INTO record VALUES(7,4,2,0,1800000000000,'[{"e":"accepted","id":"op_00000000000000000000000002","scope":"default","type":"write","key":"open","fp":"0wo2WS+ZvwTpV+8/LKQDoLwinc6QsrH2Pj82tj1Im7U=","def":"write@1","target":"docs","actor":"test","deadline":1800000900000,"retention":60000,"artifacts":[{"p":"open.md","h":"I0j5mHRCElddhZWWdPlgerJvZ3CKkXFXRygyOGM3yQQ=","n":4}]},{"e":"attempt_started","n":1,"by":1800000060000}]',NULL);
INSERT INTO record VALUES(9,5,3,0,1800000000000,NULL,X'53a3eca1cecc2bd0090db10fcec69cc41d0ae578192e4f5be54943e5b904f6d1');
INSERT INTO record VALUES(11,6,3,9,1800000000000,NULL,X'64b281cb2044c4a8c0835113386c3e087d7d9df6c6e45da9bb2f010d62c092dd');
INSERT INTO record VALUES(14,7,3,0,1800000060000,'[{"e":"retired"}]',NULL);
CREATE TABLE batch(
  no INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  records INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;
INSERT INTO batch VALUES(4,1800000000000,1,X'6661a878cf554b01e2be312182a02917b06f0b4ebd38a3a914ceed9519fddf39');
INSERT INTO batch VALUES(5,1800000000000,1,X'1db9889bd10bfdb2d68d7cf5fe821a21b489b0ff8f146a9668e22b4a6a91b9f3');
INSERT INTO batch VALUES(6,1800000000000,1,X'd501814975cf78a4af7abd5697ebeded8f1275c9658adc4a23faac8919f7e982');
INSERT INTO batch VALUES(7,1800000060000,1,X'9c2221b9cf576f65b441dae700ae09deca874049accb2f3520b895bf550c3c9d');
CREATE TABLE tombstone(
  operation INTEGER PRIMARY KEY,
  identity BLOB NOT NULL UNIQUE,
  id BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  state INTEGER NOT NULL,
  settled_at INTEGER NOT NULL,
  retired_at INTEGER NOT NULL,
  record INTEGER NOT NULL
) STRICT;
INSERT INTO tombstone VALUES(1,X'554e04d59d7e6de4293437a22db507b7',X'00000000000000000000000000000001',X'7429a91bc8eef93c68f3b9ee4d5f8313471a6c8cfd46feb553274c7269070691',4,1800000000000,1800000060000,6);
INSERT INTO tombstone VALUES(3,X'78366fd5cd563df778b9f2be25ed586e',X'00000000000000000000000000000003',X'dcf159ee681709ab3e92e7e8582c37204c1a825b2a8d58a207e154335e2b6474',4,1800000000000,1800000060000,14);
CREATE TABLE base(batch INTEGER NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
INSERT INTO base VALUES(3,7,X'ecf66e9936f531322bfe0b45b51bc3dabfed4d7019f732d1478c7ed51406f56e');
CREATE INDEX operation_attention ON operation(state, no) WHERE state IN (0, 1, 2, 3, 8, 9, 10);
CREATE INDEX operation_expiry ON operation(expires_at) WHERE expires_at IS NOT NULL;
COMMIT;
PRAGMA user_version=1;
