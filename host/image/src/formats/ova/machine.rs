//! The machine: its OVF descriptor (DMTF's DSP0243 1.1, "OVF descriptor"; its hardware in the words of CIM's
//! `ResourceAllocationSettingData`).

use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Firmware {
    Bios,
    Efi,
}

/// What the disk is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Sata,
    LsiLogic,
    ParaVirtual,
}

pub(super) struct Machine<'a> {
    pub(super) name: &'a str,
    pub(super) cpus: u32,
    /// In MiB.
    pub(super) memory: u32,
    pub(super) firmware: Firmware,
    pub(super) controller: Controller,
    /// The network of its card; no card for none.
    pub(super) network: Option<&'a str>,
    /// The disk's file.
    pub(super) disk: &'a str,
    /// The bytes of the disk.
    pub(super) capacity: u64,
}

/// Linux with 64 bits, of no distribution: as CIM numbers operating systems, and as VMware calls it.
const SYSTEM: (u32, &str) = (101, "otherLinux64Guest");
/// The version of the virtual hardware: the first of ESXi 6.5, which knows all that is used.
const HARDWARE: &str = "vmx-13";

/// Types of resources (CIM, `CIM_ResourceAllocationSettingData.ResourceType`).
const PROCESSOR: u32 = 3;
const MEMORY: u32 = 4;
const SCSI: u32 = 6;
const ETHERNET: u32 = 10;
const DISK: u32 = 17;
const OTHER_STORAGE: u32 = 20;

/// The number of the controller among the resources, by which the disk finds it.
const OF_CONTROLLER: u32 = 3;

impl Machine<'_> {
    /// The descriptor of a machine whose disk's file has so many bytes. Its length does not depend on their number.
    pub(super) fn descriptor(&self, length: u64) -> String {
        let name = escaped(self.name);
        let (disk, capacity) = (escaped(self.disk), self.capacity);
        let (id, kind) = SYSTEM;
        // Blanks between attributes mean nothing.
        let length = format!("{:<22}", format!("\"{length}\""));
        let mut networks = String::new();
        if let Some(network) = self.network {
            let network = escaped(network);
            // A string takes everything, here and below.
            let _ = write!(
                networks,
                r#"
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="{network}">
      <Description>{network}</Description>
    </Network>
  </NetworkSection>"#
            );
        }
        let items: String = self.items().concat();
        let firmware = match self.firmware {
            Firmware::Bios => "bios",
            Firmware::Efi => "efi",
        };
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="{disk}" ovf:id="file1" ovf:size={length}/>
  </References>
  <DiskSection>
    <Info>Disks</Info>
    <Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>{networks}
  <VirtualSystem ovf:id="{name}">
    <Info>A virtual machine</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="{id}" vmw:osType="{kind}">
      <Info>The operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>{HARDWARE}</vssd:VirtualSystemType>
      </System>{items}
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{firmware}"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
        )
    }

    fn items(&self) -> Vec<String> {
        let (controller, subtype, name) = match self.controller {
            Controller::Sata => (OTHER_STORAGE, "vmware.sata.ahci", "SATA controller"),
            Controller::LsiLogic => (SCSI, "lsilogic", "SCSI controller"),
            Controller::ParaVirtual => (SCSI, "VirtualSCSI", "SCSI controller"),
        };
        let mut items = vec![
            item(&[
                ("AllocationUnits", "hertz * 10^6"),
                ("ElementName", &format!("{} processors", self.cpus)),
                ("InstanceID", "1"),
                ("ResourceType", &PROCESSOR.to_string()),
                ("VirtualQuantity", &self.cpus.to_string()),
            ]),
            item(&[
                ("AllocationUnits", "byte * 2^20"),
                ("ElementName", &format!("{} MiB of memory", self.memory)),
                ("InstanceID", "2"),
                ("ResourceType", &MEMORY.to_string()),
                ("VirtualQuantity", &self.memory.to_string()),
            ]),
            item(&[
                ("Address", "0"),
                ("ElementName", name),
                ("InstanceID", &OF_CONTROLLER.to_string()),
                ("ResourceSubType", subtype),
                ("ResourceType", &controller.to_string()),
            ]),
            item(&[
                ("AddressOnParent", "0"),
                ("ElementName", "Disk 1"),
                ("HostResource", "ovf:/disk/disk1"),
                ("InstanceID", "4"),
                ("Parent", &OF_CONTROLLER.to_string()),
                ("ResourceType", &DISK.to_string()),
            ]),
        ];
        if let Some(network) = self.network {
            items.push(item(&[
                ("AddressOnParent", "7"),
                ("AutomaticAllocation", "true"),
                ("Connection", &escaped(network)),
                ("ElementName", "Network card 1"),
                ("InstanceID", "5"),
                ("ResourceSubType", "E1000"),
                ("ResourceType", &ETHERNET.to_string()),
            ]));
        }
        items
    }
}

/// A resource: its properties, by name, as the schema wants them.
fn item(properties: &[(&str, &str)]) -> String {
    assert!(properties.is_sorted());
    let mut text = "\n      <Item>".to_owned();
    for (name, value) in properties {
        let _ = write!(text, "\n        <rasd:{name}>{value}</rasd:{name}>");
    }
    text.push_str("\n      </Item>");
    text
}

/// A text as XML has it; characters that it cannot have are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            it if it.is_control() => {}
            it => escaped.push(it),
        }
    }
    escaped
}
