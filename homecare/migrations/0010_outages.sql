-- What is told of an area is told of no device: the rules ask for the last such trigger of each area when they start.

create index trigger_outage on trigger (area, at desc, id desc) where kind = 'outage';
comment on column trigger.device is 'The device whose reading or silence made it; NULL: it is about an area';
