-- A ledger as schema version 2 wrote it: the one of schema_v1.sql brought forward, and two settled
-- writes since.
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
INSERT INTO operation VALUES(2,X'00000000000000000000000000000002',X'7e26abcd0c6cabc92fedc06fc5b5d92e',2,1800000000000,NULL,16,'default','write','open','docs','{"fp":"0wo2WS+ZvwTpV+8/LKQDoLwinc6QsrH2Pj82tj1Im7U=","def":"write@1","actor":"test","deadline":1800000900000,"retention":60000,"reason":"the process that ran the attempt ended before it reported","attempts":1,"counted":1,"sent":true,"effect":"unknown","ended":1795256754519,"due":"read","due_at":1795256754519,"events":4,"updated":1795256754519,"artifacts":[{"m":{"p":"open.md","h":"I0j5mHRCElddhZWWdPlgerJvZ3CKkXFXRygyOGM3yQQ=","n":4}}]}');
INSERT INTO operation VALUES(4,X'01a1fda4215870e58699db5204198c12',X'6392bb107414b61432880c6cea149b32',4,1795256754520,1795343154542,20,'default','write','settled-key','site','{"fp":"8XEuCL5/F7908Ss//qYHBG4tABrxQ+uDghLvUl+raKY=","def":"write@1","deadline":1795257654520,"retention":86400000,"attempts":1,"counted":1,"sent":true,"effect":"acknowledged","changed":true,"reads":1,"ended":1795256754542,"events":6,"updated":1795256754542,"settled":1795256754542,"artifacts":[{"m":{"p":"a/settled.txt","h":"MAtMBRvkymHB93eEhk/ar/7IXML6yfbcN2EzqAtjlfc=","n":26},"st":{"v":"match","r":1,"last":{"s":"found","h":"MAtMBRvkymHB93eEhk/ar/7IXML6yfbcN2EzqAtjlfc=","n":26,"t":1795256754542,"ms":11},"base":{"s":"absent","t":1795256754522}}}]}');
INSERT INTO operation VALUES(5,X'01a1fda421737096b62b76d0e99aae1a',X'04e07618513030600ee3b69cfcc0e6f8',4,1795256754547,1795343154574,26,'default','write','gone-key','site','{"fp":"5KGBpvXr1tW0vyfxeqyoB8JxWn7zx1srXItN4HyBvRg=","def":"write@1","deadline":1795257654547,"retention":86400000,"attempts":1,"counted":1,"sent":true,"effect":"acknowledged","changed":true,"reads":1,"ended":1795256754574,"events":6,"updated":1795256754574,"settled":1795256754574,"artifacts":[{"m":{"p":"a/settled.txt","x":true},"st":{"v":"match","r":1,"last":{"s":"absent","t":1795256754574,"ms":3},"base":{"s":"found","h":"MAtMBRvkymHB93eEhk/ar/7IXML6yfbcN2EzqAtjlfc=","n":26,"d":"should be absent; begins with \"content of a settled write\"","t":1795256754558,"ms":7}}},{"m":{"p":"b.txt","h":"P8TM/nRYcOLA2Z9x8w/wZWyN7dQcwdfT03aw2+aF4vM=","n":3},"st":{"v":"match","r":1,"last":{"a":1,"s":"found","h":"P8TM/nRYcOLA2Z9x8w/wZWyN7dQcwdfT03aw2+aF4vM=","n":3,"t":1795256754574},"base":{"a":1,"s":"absent","t":1795256754558}}}]}');
CREATE TABLE intent(no INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
INSERT INTO intent VALUES(2,'{"artifacts":[{"content":"open","path":"open.md"}],"target":"docs"}');
INSERT INTO intent VALUES(4,'{"artifacts":[{"content":"content of a settled write","path":"a/settled.txt"}],"target":"site"}');
INSERT INTO intent VALUES(5,'{"artifacts":[{"absent":true,"path":"a/settled.txt"},{"content":"two","path":"b.txt"}],"target":"site"}');
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
INSERT INTO record VALUES(15,8,0,0,1800000060000,'[{"e":"base","batch":3,"sequence":7,"hash":"7PZumTb1MTIr/gtFtRvD2r/tTXAZ9zLRR4x+1RQG9W4=","tombs":"DQWSa3qXsZa5YHEde+37M9E2191iYgeqVje1SJ0tGRM="}]',NULL);
INSERT INTO record VALUES(16,9,2,7,1795256754519,'[{"e":"recovered","n":1},{"e":"wait_scheduled","for":"read","at":1795256754519,"reason":"the process that ran the attempt ended before it reported"}]',NULL);
INSERT INTO record VALUES(18,10,4,0,1795256754520,'[{"e":"accepted","id":"op_01m7yt88are3jrd6eva821k30j","scope":"default","type":"write","key":"settled-key","fp":"8XEuCL5/F7908Ss//qYHBG4tABrxQ+uDghLvUl+raKY=","def":"write@1","target":"site","deadline":1795257654520,"retention":86400000,"artifacts":[{"p":"a/settled.txt","h":"MAtMBRvkymHB93eEhk/ar/7IXML6yfbcN2EzqAtjlfc=","n":26}]},{"e":"attempt_started","n":1,"by":1795256814520}]',NULL);
INSERT INTO record VALUES(20,11,4,18,1795256754542,'[{"e":"baseline_read","reads":[{"s":"absent","t":1795256754522}]},{"e":"effect_ended","n":1,"kind":"acknowledged","changed":true},{"e":"read_back","n":1,"reads":[{"s":"found","h":"MAtMBRvkymHB93eEhk/ar/7IXML6yfbcN2EzqAtjlfc=","n":26,"t":1795256754542,"ms":11}]},{"e":"settled","state":"confirmed"}]',NULL);
INSERT INTO record VALUES(24,12,5,0,1795256754547,'[{"e":"accepted","id":"op_01m7yt88bke2bbcavpt3msnbgt","scope":"default","type":"write","key":"gone-key","fp":"5KGBpvXr1tW0vyfxeqyoB8JxWn7zx1srXItN4HyBvRg=","def":"write@1","target":"site","deadline":1795257654547,"retention":86400000,"artifacts":[{"p":"a/settled.txt","x":true},{"p":"b.txt","h":"P8TM/nRYcOLA2Z9x8w/wZWyN7dQcwdfT03aw2+aF4vM=","n":3}]},{"e":"attempt_started","n":1,"by":1795256814547}]',NULL);
INSERT INTO record VALUES(26,13,5,24,1795256754574,'[{"e":"baseline_read","reads":[{"s":"found","h":"MAtMBRvkymHB93eEhk/ar/7IXML6yfbcN2EzqAtjlfc=","n":26,"d":"should be absent; begins with \"content of a settled write\"","t":1795256754558,"ms":7},{"a":1,"s":"absent","t":1795256754558}]},{"e":"effect_ended","n":1,"kind":"acknowledged","changed":true},{"e":"read_back","n":1,"reads":[{"s":"absent","t":1795256754574,"ms":3},{"a":1,"s":"found","h":"P8TM/nRYcOLA2Z9x8w/wZWyN7dQcwdfT03aw2+aF4vM=","n":3,"t":1795256754574}]},{"e":"settled","state":"confirmed"}]',NULL);
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
INSERT INTO batch VALUES(8,1800000060000,1,X'c8448729e4d22f5352f14b903d2741da948eaa4a5f09950c57bca0648f54c360');
INSERT INTO batch VALUES(9,1795256754519,1,X'703c67cc08a8aa89036c6ae65970a4505fd6fc48933c484198ae23e1eeaec1e3');
INSERT INTO batch VALUES(10,1795256754520,1,X'5f8beee2b6e77167ab4d23c3ec52fb1a90a2a0bf53ab8150880ac8ba81a14e59');
INSERT INTO batch VALUES(11,1795256754542,1,X'682cf4caf6ca375e225a36057fa29090e0b75c6f35f7fd10d3b3568e58e66b74');
INSERT INTO batch VALUES(12,1795256754547,1,X'1c12926788c2c6dc1a701cc47f2b9d24a20156e13524f1d01650cdd8fa8936d2');
INSERT INTO batch VALUES(13,1795256754574,1,X'9ea44d52f82d6c32959568fc2abcadb0a550e7945d37bdf3399f20a083ff9a8e');
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
CREATE TABLE base(batch INTEGER NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL, tombs BLOB NOT NULL
  DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000', opened INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO base VALUES(3,7,X'ecf66e9936f531322bfe0b45b51bc3dabfed4d7019f732d1478c7ed51406f56e',X'0d05926b7a97b196b960711d7bedfb33d136d7dd626207aa5637b5489d2d1913',1);
CREATE INDEX operation_attention ON operation(state, no) WHERE state IN (0, 1, 2, 3, 8, 9, 10);
CREATE INDEX operation_expiry ON operation(expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX tombstone_record ON tombstone(record);
COMMIT;
PRAGMA user_version=2;
